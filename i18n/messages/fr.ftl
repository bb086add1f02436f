## Avis

balance-low =
    Le solde de { $tenant } est de { $balance }. Il a atteint le seuil de { $threshold } auquel vous vouliez être averti.

    Merci de le recharger à temps afin que rien ne s’interrompe.
    .subject = Solde bas : { $balance }

balance-exhausted =
    Le solde de { $tenant } est épuisé : il est de { $balance }.

    Les nouveaux appels et sessions qui doivent être couverts sont refusés jusqu’à son rechargement.
    .subject = Le solde de { $tenant } est épuisé

top-up-succeeded =
    { $amount } ont été crédités sur le solde de { $tenant }. Merci.
    .subject = Paiement reçu : { $amount }

top-up-failed =
    Le paiement de { $amount } pour { $tenant } a échoué. Rien n’a été crédité.

    Veuillez réessayer ou choisir un autre moyen de paiement.
    .subject = Échec du paiement de { $amount }

top-up-action-required =
    Votre banque vous demande de confirmer le paiement de { $amount } pour { $tenant }. D’ici là, rien n’est crédité.

    Confirmez-le ici : { $url }
    .subject = Veuillez confirmer votre paiement de { $amount }

auto-top-up-paused =
    { $reason ->
        [month_max_reached] Les recharges automatiques de { $tenant } ont atteint leur maximum de { $amount } pour ce mois. Elles reprendront d’elles-mêmes le mois prochain. D’ici là, veuillez recharger manuellement afin que rien ne s’arrête.
        [refunded] { $tenant } n’est plus rechargé automatiquement : une recharge automatique a été remboursée. Réactivez-la si elle doit continuer. D’ici là, veuillez recharger manuellement afin que rien ne s’arrête.
        [disputed] { $tenant } n’est plus rechargé automatiquement : un paiement a été contesté auprès de la banque. Payez une recharge en enregistrant un moyen de paiement pour qu’elle continue. D’ici là, veuillez recharger manuellement afin que rien ne s’arrête.
        [fraud_reported] { $tenant } n’est plus rechargé automatiquement : un paiement a été signalé à la banque comme frauduleux. Payez une recharge en enregistrant un moyen de paiement pour qu’elle continue. D’ici là, veuillez recharger manuellement afin que rien ne s’arrête.
        [not_by_usage] { $tenant } n’est pas rechargé automatiquement pour le moment : le solde a baissé à cause d’un remboursement ou d’un ajustement, pas de l’usage. D’ici là, veuillez recharger manuellement afin que rien ne s’arrête.
        [tenant_closed] { $tenant } n’est plus rechargé automatiquement : le compte est fermé. Plus rien n’est débité.
        [no_agreement_in_force] { $tenant } n’est plus rechargé automatiquement : aucun accord n’est en vigueur. Rien n’est débité avant qu’il y en ait un et que le réglage soit réactivé.
        [currency_not_agreed] { $tenant } n’est plus rechargé automatiquement : son accord est dans une autre devise.
        [not_collected_here] { $tenant } n’est plus rechargé automatiquement : il paie son revendeur.
       *[other] { $tenant } n’est plus rechargé automatiquement : le moyen de paiement enregistré ne peut plus être débité. D’ici là, veuillez recharger manuellement afin que rien ne s’arrête.
    }
    .subject = Recharges automatiques de { $tenant } suspendues

payout-paid =
    { $amount } de commission ont été versés à { $tenant }.
    .subject = Commission versée : { $amount }

payout-failed =
    Le versement de { $amount } de commission à { $tenant } a échoué. Le montant reste dû.

    Veuillez vérifier le compte qui reçoit les versements.
    .subject = Échec du versement de { $amount }

usage-unrated =
    { $count ->
        [one] Un événement d’usage de { $tenant } a été conservé sans prix
       *[other] { $count-shown } événements d’usage de { $tenant } ont été conservés sans prix
    } (raison : { $reason }).

    Rien n’est perdu : ils pourront être tarifés dès que la raison aura disparu.
    .subject = { $count ->
        [one] { $count-shown } événement d’usage n’a pas pu être tarifé
       *[other] { $count-shown } événements d’usage n’ont pas pu être tarifés
    }

margin-negative =
    { $tenant } paie l’usage plus cher qu’il ne le vend : sa part de l’usage récent est de { $amount }.

    Veuillez comparer ses prix de vente et ses prix d’achat.
    .subject = Marge négative : { $tenant }

hold-expired =
    { $count ->
        [one] Une réservation de { $tenant } a expiré sans être débitée ni libérée
       *[other] { $count-shown } réservations de { $tenant } ont expiré sans être débitées ni libérées
    }. Ce qui était réservé est de nouveau disponible.

    Si cela se poursuit, les fins d’appels ou de sessions ne sont pas signalées.
    .subject = { $count ->
        [one] { $count-shown } réservation expirée
       *[other] { $count-shown } réservations expirées
    }

payment-attention =
    Un paiement demande votre attention : { $what } ({ $amount }, { $tenant }).
    .subject = Un paiement demande votre attention : { $what }

test =
    Ceci est un message d’essai. Tout fonctionne.
    .subject = Message d’essai

## Cadre d’un courriel

mail-greeting = Bonjour,
mail-footer = Vous recevez ce message parce que cette adresse est un contact de { $tenant }. La personne qui gère { $tenant } peut le modifier.

## Alertes de `health-check`

health-alert =
    Le contrôle a trouvé : { $status }.

    { $findings }
    .subject = Contrôle du serveur : { $status }

## Pages après le paiement

page-paid = Votre paiement a été reçu : { $amount } sont sur votre solde.
    .title = Merci
page-processing = Votre banque traite encore le paiement de { $amount }. Il sera crédité dès son arrivée, ce qui peut prendre quelques jours pour un prélèvement.
    .title = Paiement en cours
page-open = Rien n’a encore été payé. Dès que votre paiement de { $amount } arrivera, cette page l’indiquera d’elle-même.
    .title = Pas encore payé
page-failed = Le paiement de { $amount } a échoué. Rien n’a été crédité.
    .title = Échec du paiement
page-refunded = Sur votre paiement de { $amount }, { $refunded } ont été remboursés.
    .title = Paiement remboursé
page-unclear = Un paiement est arrivé, mais il ne correspond pas à ce qui était demandé ({ $amount }). Il est conservé jusqu’à ce que quelqu’un l’ait vérifié.
    .title = Paiement en cours de vérification

## Refus

problem-unauthorized = Une clé d’API valable est requise
    .detail = Envoyez une clé d’API valable dans l’en-tête Authorization.
problem-forbidden = Cette clé ne le permet pas
    .detail = Utilisez une clé qui a les droits nécessaires.
problem-insufficient-balance = Le solde ne suffit pas
    .detail = Rechargez le solde et réessayez.
problem-exhausted = Le solde est épuisé
    .detail = Rechargez le solde et réessayez.
problem-not-found = Introuvable
    .detail = Il n’y a rien de ce nom à la portée de cette clé.
problem-invalid-json = Le contenu n’est pas du JSON valable
    .detail = Envoyez un contenu en JSON valable.
problem-invalid-request = La requête est mal formée
    .detail = Comparez la requête à la documentation.
problem-missing-field = Il manque un champ
    .detail = Indiquez le champ nommé.
problem-invalid-field = Un champ n’est pas valable
    .detail = Corrigez le champ nommé.
problem-unknown-field = Un champ est inconnu
    .detail = Retirez le champ nommé ou corrigez son nom.
problem-missing-idempotency-key = L’en-tête Idempotency-Key est requis
    .detail = Envoyez un en-tête Idempotency-Key afin qu’une requête répétée ne soit exécutée qu’une fois.
problem-idempotency-conflict = L’Idempotency-Key a servi à une autre requête
    .detail = Utilisez une nouvelle clé pour une autre requête.
problem-idempotency-in-progress = La première requête avec cet Idempotency-Key est encore en cours
    .detail = Attendez un instant et renvoyez la même requête.
problem-conflict = Cela contredit ce qui existe
    .detail = Regardez ce qui existe et adaptez la requête.
problem-id-conflict = Le même identifiant a servi à autre chose
    .detail = Utilisez un nouvel identifiant pour un autre événement.
problem-hold-over = La réservation est terminée
    .detail = Faites une nouvelle réservation.
problem-hold-ended = La réservation est terminée
    .detail = Faites une nouvelle réservation.
problem-rate-limited = La limite de requêtes de la clé est atteinte
    .detail = Attendez un instant avant la prochaine requête.
problem-overloaded = Le serveur est à sa limite
    .detail = Réessayez dans un instant.
problem-internal = Une erreur inattendue
    .detail = Quelque chose a échoué de notre côté. L’erreur est journalisée sous l’identifiant de cette requête.
problem-unavailable = La base de données n’est pas disponible
    .detail = Rien n’a été écrit. La même requête peut être renvoyée.
problem-clock-stepped = L’horloge du serveur n’est pas juste
    .detail = Rien n’a été comptabilisé. L’exploitant doit d’abord vérifier l’horloge.
problem-timeout = La requête a pris trop de temps
    .detail = Renvoyez la même requête.
problem-payment-declined = Le paiement a été refusé
    .detail = Choisissez un autre moyen de paiement ou demandez à votre banque.
problem-payments-not-configured = Ce serveur n’a pas de prestataire de paiement
    .detail = Demandez à l’exploitant de ce serveur un autre moyen de payer.
problem-not-refundable = Cela ne peut pas être remboursé
    .detail = Regardez ce qui reste du paiement.
problem-provider-unavailable = Le prestataire de paiement ne répond pas
    .detail = Renvoyez la même requête dans un instant.
