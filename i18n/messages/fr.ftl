## Avis

balance-low =
    Le solde de { $tenant } est de { $balance }. Il a atteint votre seuil d’alerte de { $threshold }.

    Merci de le recharger à temps afin d’éviter toute interruption.
    .subject = Solde bas : { $balance }

balance-exhausted =
    Le solde de { $tenant } est épuisé : il est désormais de { $balance }.

    Les nouveaux appels et les nouvelles sessions qui nécessitent un solde suffisant seront refusés jusqu’à ce qu’il soit rechargé.
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
        [month_max_reached] Les recharges automatiques de { $tenant } ont atteint leur maximum de { $amount } pour ce mois. Elles reprendront automatiquement le mois prochain. D’ici là, veuillez recharger manuellement afin d’éviter toute interruption.
        [refunded] { $tenant } n’est plus rechargé automatiquement : une recharge automatique a été remboursée. Réactivez les recharges automatiques si elles doivent continuer. D’ici là, veuillez recharger manuellement afin d’éviter toute interruption.
        [disputed] { $tenant } n’est plus rechargé automatiquement : un paiement a été contesté auprès de la banque. Pour les reprendre, payez une recharge en enregistrant un moyen de paiement. D’ici là, veuillez recharger manuellement afin d’éviter toute interruption.
        [fraud_reported] { $tenant } n’est plus rechargé automatiquement : un paiement a été signalé à la banque comme frauduleux. Pour les reprendre, payez une recharge en enregistrant un moyen de paiement. D’ici là, veuillez recharger manuellement afin d’éviter toute interruption.
        [not_by_usage] { $tenant } n’est pas rechargé automatiquement pour le moment : le solde a baissé à cause d’un remboursement ou d’un ajustement, pas de l’usage. D’ici là, veuillez recharger manuellement afin d’éviter toute interruption.
        [tenant_closed] { $tenant } n’est plus rechargé automatiquement : le compte est fermé. Plus rien ne sera débité.
        [no_agreement_in_force] { $tenant } n’est plus rechargé automatiquement : aucun accord n’est en vigueur. Rien ne sera débité tant qu’il n’y en aura pas et que les recharges automatiques n’auront pas été réactivées.
        [currency_not_agreed] { $tenant } n’est plus rechargé automatiquement : son accord est libellé dans une autre devise.
        [not_collected_here] { $tenant } n’est plus rechargé automatiquement : il paie directement son revendeur.
       *[other] { $tenant } n’est plus rechargé automatiquement : le moyen de paiement enregistré ne peut plus être débité. D’ici là, veuillez recharger manuellement afin d’éviter toute interruption.
    }
    .subject = Recharges automatiques de { $tenant } suspendues

payout-paid =
    Une commission de { $amount } a été versée à { $tenant }.
    .subject = Commission versée : { $amount }

payout-failed =
    Le versement de la commission de { $amount } à { $tenant } a échoué. Le montant reste dû.

    Veuillez vérifier le compte qui reçoit les versements.
    .subject = Échec du versement de { $amount }

usage-unrated =
    { $count ->
        [one] Un événement d’usage de { $tenant } a été conservé sans prix
       *[other] { $count-shown } événements d’usage de { $tenant } ont été conservés sans prix
    } (raison : { $reason }).

    Rien n’est perdu : l’usage pourra être tarifé dès que la cause aura été résolue.
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
    }. Le montant réservé est de nouveau disponible.

    Si cela se reproduit, c’est que la fin des appels ou des sessions n’est pas signalée.
    .subject = { $count ->
        [one] { $count-shown } réservation expirée
       *[other] { $count-shown } réservations expirées
    }

payment-attention =
    Un paiement demande votre attention : { $what } ({ $amount }, { $tenant }).
    .subject = Un paiement demande votre attention : { $what }

test =
    Ceci est un message de test. Tout fonctionne.
    .subject = Message de test

## Cadre d’un courriel

mail-greeting = Bonjour,
mail-footer = Vous recevez ce message parce que cette adresse est un contact de { $tenant }. La personne qui gère { $tenant } peut le modifier.

## Alertes de `health-check`

health-alert =
    Résultat du contrôle : { $status }.

    { $findings }
    .subject = Contrôle du serveur : { $status }

## Pages après le paiement

page-paid = Votre paiement a été reçu : { $amount } ont été crédités sur votre solde.
    .title = Merci
page-processing = Votre banque traite encore le paiement de { $amount }. Il sera crédité dès son arrivée, ce qui peut prendre quelques jours pour un prélèvement.
    .title = Paiement en cours
page-open = Rien n’a encore été payé. Dès que votre paiement de { $amount } arrivera, cette page se mettra à jour automatiquement.
    .title = Pas encore payé
page-failed = Le paiement de { $amount } a échoué. Rien n’a été crédité.
    .title = Échec du paiement
page-refunded = Sur votre paiement de { $amount }, { $refunded } ont été remboursés.
    .title = Paiement remboursé
page-unclear = Un paiement est arrivé, mais il ne correspond pas au paiement demandé ({ $amount }). Il est mis en attente jusqu’à sa vérification.
    .title = Paiement en cours de vérification

## Refus

problem-unauthorized = Une clé d’API valide est requise
    .detail = Envoyez une clé d’API valide dans l’en-tête Authorization.
problem-forbidden = Cette clé ne le permet pas
    .detail = Utilisez une clé qui a les droits nécessaires.
problem-insufficient-balance = Le solde ne suffit pas
    .detail = Rechargez le solde et réessayez.
problem-exhausted = Le solde est épuisé
    .detail = Rechargez le solde et réessayez.
problem-not-found = Introuvable
    .detail = Rien portant ce nom n’est accessible avec cette clé.
problem-invalid-json = Le corps n’est pas du JSON valide
    .detail = Envoyez un corps en JSON valide.
problem-invalid-request = La requête est mal formée
    .detail = Comparez la requête à la documentation.
problem-missing-field = Il manque un champ
    .detail = Renseignez le champ indiqué.
problem-invalid-field = Un champ n’est pas valide
    .detail = Corrigez le champ indiqué.
problem-unknown-field = Un champ est inconnu
    .detail = Retirez le champ indiqué ou corrigez son nom.
problem-missing-idempotency-key = L’en-tête Idempotency-Key est requis
    .detail = Envoyez un en-tête Idempotency-Key afin qu’une requête répétée ne soit exécutée qu’une fois.
problem-idempotency-conflict = L’Idempotency-Key a servi à une autre requête
    .detail = Utilisez une nouvelle clé pour une autre requête.
problem-idempotency-in-progress = La première requête avec cet Idempotency-Key est encore en cours
    .detail = Attendez un instant et renvoyez la même requête.
problem-conflict = Cela entre en conflit avec l’existant
    .detail = Vérifiez ce qui existe et adaptez la requête.
problem-id-conflict = Le même identifiant a servi à autre chose
    .detail = Utilisez un nouvel identifiant pour un autre événement.
problem-hold-over = La réservation est terminée
    .detail = Créez une nouvelle réservation.
problem-hold-ended = La réservation est terminée
    .detail = Créez une nouvelle réservation.
problem-rate-limited = La limite de requêtes de la clé est atteinte
    .detail = Attendez un instant avant la prochaine requête.
problem-overloaded = Le serveur est saturé
    .detail = Réessayez dans un instant.
problem-internal = Erreur inattendue
    .detail = Une erreur s’est produite de notre côté. Elle a été journalisée sous l’identifiant de cette requête.
problem-unavailable = La base de données n’est pas disponible
    .detail = Rien n’a été écrit. La même requête peut être renvoyée.
problem-clock-stepped = L’horloge du serveur n’est pas à l’heure
    .detail = Rien n’a été comptabilisé. L’exploitant doit d’abord vérifier l’horloge.
problem-timeout = La requête a pris trop de temps
    .detail = Renvoyez la même requête.
problem-payment-declined = Le paiement a été refusé
    .detail = Choisissez un autre moyen de paiement ou contactez votre banque.
problem-payments-not-configured = Ce serveur n’a pas de prestataire de paiement
    .detail = Demandez à l’exploitant de ce serveur un autre moyen de payer.
problem-not-refundable = Cela ne peut pas être remboursé
    .detail = Vérifiez ce qui reste du paiement.
problem-provider-unavailable = Le prestataire de paiement ne répond pas
    .detail = Renvoyez la même requête dans un instant.
