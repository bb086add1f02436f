## Mitteilungen

balance-low =
    Das Guthaben von { $tenant } beträgt { $balance }. Damit ist die Grenze von { $threshold } erreicht, bei der Sie benachrichtigt werden wollten.

    Bitte laden Sie es rechtzeitig auf, damit nichts unterbrochen wird.
    .subject = Niedriges Guthaben: { $balance }

balance-exhausted =
    Das Guthaben von { $tenant } ist aufgebraucht: Es beträgt { $balance }.

    Neue Anrufe und Sitzungen, die Deckung brauchen, werden abgelehnt, bis es aufgeladen ist.
    .subject = Das Guthaben von { $tenant } ist aufgebraucht

top-up-succeeded =
    Dem Guthaben von { $tenant } wurden { $amount } gutgeschrieben. Vielen Dank.
    .subject = Zahlung eingegangen: { $amount }

top-up-failed =
    Die Zahlung von { $amount } für { $tenant } ist fehlgeschlagen. Es wurde nichts gutgeschrieben.

    Bitte versuchen Sie es noch einmal oder wählen Sie ein anderes Zahlungsmittel.
    .subject = Zahlung von { $amount } fehlgeschlagen

top-up-action-required =
    Ihre Bank bittet Sie, die Zahlung von { $amount } für { $tenant } zu bestätigen. Bis dahin wird nichts gutgeschrieben.

    Hier bestätigen Sie sie: { $url }
    .subject = Bitte bestätigen Sie Ihre Zahlung von { $amount }

auto-top-up-paused =
    { $reason ->
        [month_max_reached] Die automatische Aufladung von { $tenant } hat ihren Höchstbetrag von { $amount } für diesen Monat erreicht. Im nächsten Monat geht sie von selbst weiter. Bitte laden Sie bis dahin selbst auf, damit nichts stehen bleibt.
        [refunded] { $tenant } wird nicht mehr automatisch aufgeladen: Eine automatische Aufladung wurde zurückgezahlt. Schalten Sie sie wieder ein, wenn sie weitergehen soll. Bitte laden Sie bis dahin selbst auf, damit nichts stehen bleibt.
        [disputed] { $tenant } wird nicht mehr automatisch aufgeladen: Einer Zahlung wurde bei der Bank widersprochen. Bezahlen Sie eine Aufladung und hinterlegen Sie dabei ein Zahlungsmittel, damit es weitergeht. Bitte laden Sie bis dahin selbst auf, damit nichts stehen bleibt.
        [fraud_reported] { $tenant } wird nicht mehr automatisch aufgeladen: Eine Zahlung wurde der Bank als Betrug gemeldet. Bezahlen Sie eine Aufladung und hinterlegen Sie dabei ein Zahlungsmittel, damit es weitergeht. Bitte laden Sie bis dahin selbst auf, damit nichts stehen bleibt.
        [not_by_usage] { $tenant } wird derzeit nicht automatisch aufgeladen: Das Guthaben ist durch eine Rückzahlung oder Korrektur gesunken, nicht durch Nutzung. Bitte laden Sie bis dahin selbst auf, damit nichts stehen bleibt.
        [tenant_closed] { $tenant } wird nicht mehr automatisch aufgeladen: Das Konto ist geschlossen. Es wird nichts mehr abgebucht.
        [no_agreement_in_force] { $tenant } wird nicht mehr automatisch aufgeladen: Es gilt keine Vereinbarung. Abgebucht wird erst wieder, wenn eine gilt und die Aufladung wieder eingeschaltet ist.
        [currency_not_agreed] { $tenant } wird nicht mehr automatisch aufgeladen: Die Vereinbarung lautet auf eine andere Währung.
        [not_collected_here] { $tenant } wird nicht mehr automatisch aufgeladen: Bezahlt wird beim Wiederverkäufer.
       *[other] { $tenant } wird nicht mehr automatisch aufgeladen: Das hinterlegte Zahlungsmittel kann nicht mehr belastet werden. Bitte laden Sie bis dahin selbst auf, damit nichts stehen bleibt.
    }
    .subject = Automatische Aufladung von { $tenant } angehalten

payout-paid =
    { $amount } Provision wurden an { $tenant } ausgezahlt.
    .subject = Provision ausgezahlt: { $amount }

payout-failed =
    Die Auszahlung von { $amount } Provision an { $tenant } ist fehlgeschlagen. Der Betrag bleibt auszahlbar.

    Bitte prüfen Sie das Konto, auf das ausgezahlt wird.
    .subject = Auszahlung von { $amount } fehlgeschlagen

usage-unrated =
    { $count ->
        [one] Eine Nutzung von { $tenant } wurde ohne Preis aufbewahrt
       *[other] { $count-shown } Nutzungen von { $tenant } wurden ohne Preis aufbewahrt
    } (Grund: { $reason }).

    Nichts davon ist verloren: Es kann berechnet werden, sobald der Grund beseitigt ist.
    .subject = { $count ->
        [one] { $count-shown } Nutzung konnte nicht berechnet werden
       *[other] { $count-shown } Nutzungen konnten nicht berechnet werden
    }

margin-negative =
    { $tenant } zahlt für Nutzung mehr, als dafür eingenommen wird: Der Anteil an der jüngsten Nutzung beträgt { $amount }.

    Bitte vergleichen Sie die Verkaufspreise mit den Einkaufspreisen.
    .subject = Negative Marge: { $tenant }

hold-expired =
    { $count ->
        [one] Eine Reservierung von { $tenant } ist abgelaufen, ohne abgerechnet oder freigegeben zu werden
       *[other] { $count-shown } Reservierungen von { $tenant } sind abgelaufen, ohne abgerechnet oder freigegeben zu werden
    }. Das Reservierte ist wieder verfügbar.

    Geschieht das weiterhin, so werden Enden von Anrufen oder Sitzungen nicht gemeldet.
    .subject = { $count ->
        [one] { $count-shown } Reservierung abgelaufen
       *[other] { $count-shown } Reservierungen abgelaufen
    }

payment-attention =
    Eine Zahlung braucht Ihre Aufmerksamkeit: { $what } ({ $amount }, { $tenant }).
    .subject = Eine Zahlung braucht Aufmerksamkeit: { $what }

test =
    Dies ist eine Testnachricht. Alles funktioniert.
    .subject = Testnachricht

## Rahmen einer E-Mail

mail-greeting = Guten Tag,
mail-footer = Sie erhalten diese Nachricht, weil diese Adresse als Kontakt von { $tenant } eingetragen ist. Wer { $tenant } verwaltet, kann das ändern.

## Meldungen von `health-check`

health-alert =
    Die Prüfung ergab: { $status }.

    { $findings }
    .subject = Prüfung des Servers: { $status }

## Seiten nach dem Bezahlen

page-paid = Ihre Zahlung ist eingegangen: { $amount } sind Ihrem Guthaben gutgeschrieben.
    .title = Vielen Dank
page-processing = Ihre Bank bearbeitet die Zahlung von { $amount } noch. Sie wird gutgeschrieben, sobald sie eintrifft; bei Lastschriften kann das einige Tage dauern.
    .title = Zahlung in Bearbeitung
page-open = Es wurde noch nichts bezahlt. Sobald Ihre Zahlung von { $amount } eingeht, zeigt diese Seite es von selbst an.
    .title = Noch nicht bezahlt
page-failed = Die Zahlung von { $amount } ist fehlgeschlagen. Es wurde nichts gutgeschrieben.
    .title = Zahlung fehlgeschlagen
page-refunded = Von Ihrer Zahlung von { $amount } wurden { $refunded } zurückgezahlt.
    .title = Zahlung erstattet
page-unclear = Eine Zahlung ist eingegangen, passt aber nicht zum angeforderten Betrag ({ $amount }). Sie wird verwahrt, bis jemand sie geprüft hat.
    .title = Zahlung wird geprüft

## Ablehnungen

problem-unauthorized = Ein gültiger API-Schlüssel ist erforderlich
    .detail = Senden Sie einen gültigen API-Schlüssel im Header Authorization.
problem-forbidden = Der Schlüssel erlaubt das nicht
    .detail = Verwenden Sie einen Schlüssel mit der nötigen Berechtigung.
problem-insufficient-balance = Das Guthaben reicht dafür nicht
    .detail = Laden Sie das Guthaben auf und versuchen Sie es noch einmal.
problem-exhausted = Das Guthaben ist aufgebraucht
    .detail = Laden Sie das Guthaben auf und versuchen Sie es noch einmal.
problem-not-found = Nicht gefunden
    .detail = In Reichweite dieses Schlüssels gibt es nichts mit diesem Namen.
problem-invalid-json = Der Inhalt ist kein gültiges JSON
    .detail = Senden Sie einen Inhalt in gültigem JSON.
problem-invalid-request = Die Anfrage ist nicht wohlgeformt
    .detail = Vergleichen Sie die Anfrage mit der Dokumentation.
problem-missing-field = Ein Feld fehlt
    .detail = Geben Sie das genannte Feld an.
problem-invalid-field = Ein Feld ist ungültig
    .detail = Berichtigen Sie das genannte Feld.
problem-unknown-field = Ein Feld ist unbekannt
    .detail = Lassen Sie das genannte Feld weg oder berichtigen Sie seinen Namen.
problem-missing-idempotency-key = Der Header Idempotency-Key ist erforderlich
    .detail = Senden Sie einen Header Idempotency-Key, damit eine wiederholte Anfrage nur einmal ausgeführt wird.
problem-idempotency-conflict = Der Idempotency-Key wurde für eine andere Anfrage verwendet
    .detail = Verwenden Sie für eine andere Anfrage einen neuen Schlüssel.
problem-idempotency-in-progress = Die erste Anfrage mit diesem Idempotency-Key läuft noch
    .detail = Warten Sie einen Augenblick und senden Sie dieselbe Anfrage noch einmal.
problem-conflict = Das widerspricht dem, was es schon gibt
    .detail = Sehen Sie nach, was es schon gibt, und passen Sie die Anfrage an.
problem-id-conflict = Dieselbe Kennung wurde für etwas anderes verwendet
    .detail = Verwenden Sie für ein anderes Ereignis eine neue Kennung.
problem-hold-over = Die Reservierung ist beendet
    .detail = Legen Sie eine neue Reservierung an.
problem-hold-ended = Die Reservierung ist beendet
    .detail = Legen Sie eine neue Reservierung an.
problem-rate-limited = Das Anfragelimit des Schlüssels ist erreicht
    .detail = Warten Sie einen Augenblick bis zur nächsten Anfrage.
problem-overloaded = Der Server ist ausgelastet
    .detail = Versuchen Sie es in einem Augenblick noch einmal.
problem-internal = Ein unerwarteter Fehler
    .detail = Bei uns ist etwas fehlgeschlagen. Es wurde unter der Kennung dieser Anfrage protokolliert.
problem-unavailable = Die Datenbank ist nicht erreichbar
    .detail = Es wurde nichts geschrieben. Dieselbe Anfrage darf noch einmal gesendet werden.
problem-clock-stepped = Die Uhr des Servers stimmt nicht
    .detail = Es wurde nichts gebucht. Der Betreiber muss die Uhr erst prüfen.
problem-timeout = Die Anfrage hat zu lange gedauert
    .detail = Senden Sie dieselbe Anfrage noch einmal.
problem-payment-declined = Die Zahlung wurde abgelehnt
    .detail = Wählen Sie ein anderes Zahlungsmittel oder fragen Sie Ihre Bank.
problem-payments-not-configured = Dieser Server hat keinen Zahlungsanbieter
    .detail = Fragen Sie den Betreiber dieses Servers nach einem anderen Zahlungsweg.
problem-not-refundable = Das kann nicht zurückgegeben werden
    .detail = Sehen Sie nach, was von der Zahlung noch übrig ist.
problem-provider-unavailable = Der Zahlungsanbieter antwortet nicht
    .detail = Senden Sie dieselbe Anfrage in einem Augenblick noch einmal.
