## Mitteilungen

balance-low =
    Das Guthaben von { $tenant } beträgt { $balance }. Damit ist die Benachrichtigungsschwelle von { $threshold } erreicht.

    Bitte laden Sie es rechtzeitig auf, damit es nicht zu Unterbrechungen kommt.
    .subject = Niedriges Guthaben: { $balance }

balance-exhausted =
    Das Guthaben von { $tenant } ist aufgebraucht: Es beträgt { $balance }.

    Neue Anrufe und Sitzungen, für die Guthaben nötig ist, werden abgelehnt, bis es aufgeladen wird.
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
        [month_max_reached] Die automatische Aufladung von { $tenant } hat ihren Höchstbetrag von { $amount } für diesen Monat erreicht. Im nächsten Monat wird sie automatisch fortgesetzt. Bitte laden Sie bis dahin manuell auf, damit es nicht zu Unterbrechungen kommt.
        [refunded] { $tenant } wird nicht mehr automatisch aufgeladen: Eine automatische Aufladung wurde zurückgezahlt. Schalten Sie die automatische Aufladung wieder ein, wenn sie fortgesetzt werden soll. Bitte laden Sie bis dahin manuell auf, damit es nicht zu Unterbrechungen kommt.
        [disputed] { $tenant } wird nicht mehr automatisch aufgeladen: Eine Zahlung wurde bei der Bank beanstandet. Bezahlen Sie eine Aufladung und hinterlegen Sie dabei ein Zahlungsmittel, damit die Aufladung fortgesetzt wird. Bitte laden Sie bis dahin manuell auf, damit es nicht zu Unterbrechungen kommt.
        [fraud_reported] { $tenant } wird nicht mehr automatisch aufgeladen: Eine Zahlung wurde der Bank als Betrug gemeldet. Bezahlen Sie eine Aufladung und hinterlegen Sie dabei ein Zahlungsmittel, damit die Aufladung fortgesetzt wird. Bitte laden Sie bis dahin manuell auf, damit es nicht zu Unterbrechungen kommt.
        [not_by_usage] { $tenant } wird derzeit nicht automatisch aufgeladen: Das Guthaben ist durch eine Rückzahlung oder Korrektur gesunken, nicht durch Nutzung. Bitte laden Sie bis dahin manuell auf, damit es nicht zu Unterbrechungen kommt.
        [tenant_closed] { $tenant } wird nicht mehr automatisch aufgeladen: Das Konto ist geschlossen. Es wird nichts mehr abgebucht.
        [no_agreement_in_force] { $tenant } wird nicht mehr automatisch aufgeladen: Es gilt keine Vereinbarung. Abgebucht wird erst wieder, wenn eine gilt und die Aufladung wieder eingeschaltet ist.
        [currency_not_agreed] { $tenant } wird nicht mehr automatisch aufgeladen: Die Vereinbarung lautet auf eine andere Währung.
        [not_collected_here] { $tenant } wird nicht mehr automatisch aufgeladen: Bezahlt wird direkt beim Wiederverkäufer.
       *[other] { $tenant } wird nicht mehr automatisch aufgeladen: Das hinterlegte Zahlungsmittel kann nicht mehr belastet werden. Bitte laden Sie bis dahin manuell auf, damit es nicht zu Unterbrechungen kommt.
    }
    .subject = Automatische Aufladung von { $tenant } pausiert

payout-paid =
    An { $tenant } wurde eine Provision von { $amount } ausgezahlt.
    .subject = Provision ausgezahlt: { $amount }

payout-failed =
    Die Auszahlung der Provision von { $amount } an { $tenant } ist fehlgeschlagen. Der Betrag bleibt auszahlbar.

    Bitte prüfen Sie das Konto, auf das ausgezahlt wird.
    .subject = Auszahlung von { $amount } fehlgeschlagen

usage-unrated =
    { $count ->
        [one] Ein Nutzungsereignis von { $tenant } wurde ohne Preis gespeichert
       *[other] { $count-shown } Nutzungsereignisse von { $tenant } wurden ohne Preis gespeichert
    } (Grund: { $reason }).

    Es geht nichts verloren: Die Nutzung kann abgerechnet werden, sobald die Ursache behoben ist.
    .subject = { $count ->
        [one] { $count-shown } Nutzungsereignis konnte nicht bepreist werden
       *[other] { $count-shown } Nutzungsereignisse konnten nicht bepreist werden
    }

margin-negative =
    { $tenant } zahlt für Nutzung mehr, als dafür eingenommen wird: Der Anteil an der letzten Nutzung beträgt { $amount }.

    Bitte vergleichen Sie die Verkaufspreise mit den Einkaufspreisen.
    .subject = Negative Marge: { $tenant }

hold-expired =
    { $count ->
        [one] Eine Reservierung von { $tenant } ist abgelaufen, ohne abgerechnet oder freigegeben zu werden
       *[other] { $count-shown } Reservierungen von { $tenant } sind abgelaufen, ohne abgerechnet oder freigegeben zu werden
    }. Der reservierte Betrag ist wieder verfügbar.

    Wenn das weiterhin geschieht, wird das Ende von Anrufen oder Sitzungen nicht gemeldet.
    .subject = { $count ->
        [one] { $count-shown } Reservierung abgelaufen
       *[other] { $count-shown } Reservierungen abgelaufen
    }

payment-attention =
    Eine Zahlung erfordert Ihre Aufmerksamkeit: { $what } ({ $amount }, { $tenant }).
    .subject = Eine Zahlung erfordert Aufmerksamkeit: { $what }

test =
    Dies ist eine Testnachricht. Alles funktioniert.
    .subject = Testnachricht

## Rahmen einer E-Mail

mail-greeting = Guten Tag,
mail-footer = Sie erhalten diese Nachricht, weil diese Adresse als Kontakt von { $tenant } eingetragen ist. Die Person, die { $tenant } verwaltet, kann das ändern.

## Meldungen von `health-check`

health-alert =
    Ergebnis der Prüfung: { $status }.

    { $findings }
    .subject = Prüfung des Servers: { $status }

## Seiten nach dem Bezahlen

page-paid = Ihre Zahlung ist eingegangen: { $amount } sind Ihrem Guthaben gutgeschrieben.
    .title = Vielen Dank
page-processing = Ihre Bank bearbeitet die Zahlung von { $amount } noch. Sie wird gutgeschrieben, sobald sie eintrifft; bei Lastschriften kann das einige Tage dauern.
    .title = Zahlung in Bearbeitung
page-open = Es wurde noch nichts bezahlt. Sobald Ihre Zahlung von { $amount } eingeht, wird diese Seite automatisch aktualisiert.
    .title = Noch nicht bezahlt
page-failed = Die Zahlung von { $amount } ist fehlgeschlagen. Es wurde nichts gutgeschrieben.
    .title = Zahlung fehlgeschlagen
page-refunded = Von Ihrer Zahlung von { $amount } wurden { $refunded } zurückgezahlt.
    .title = Zahlung erstattet
page-unclear = Eine Zahlung ist eingegangen, passt aber nicht zur angeforderten Zahlung ({ $amount }). Sie wird zurückgehalten, bis sie geprüft wurde.
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
    .detail = Für diesen Schlüssel ist nichts mit diesem Namen zugänglich.
problem-invalid-json = Der Body ist kein gültiges JSON
    .detail = Senden Sie einen Body mit gültigem JSON.
problem-invalid-request = Die Anfrage ist fehlerhaft
    .detail = Vergleichen Sie die Anfrage mit der Dokumentation.
problem-missing-field = Ein Feld fehlt
    .detail = Geben Sie das genannte Feld an.
problem-invalid-field = Ein Feld ist ungültig
    .detail = Korrigieren Sie das genannte Feld.
problem-unknown-field = Ein Feld ist unbekannt
    .detail = Lassen Sie das genannte Feld weg oder korrigieren Sie seinen Namen.
problem-missing-idempotency-key = Der Header Idempotency-Key ist erforderlich
    .detail = Senden Sie einen Header Idempotency-Key, damit eine wiederholte Anfrage nur einmal ausgeführt wird.
problem-idempotency-conflict = Der Idempotency-Key wurde für eine andere Anfrage verwendet
    .detail = Verwenden Sie für eine andere Anfrage einen neuen Schlüssel.
problem-idempotency-in-progress = Die erste Anfrage mit diesem Idempotency-Key läuft noch
    .detail = Warten Sie einen Moment und senden Sie dieselbe Anfrage noch einmal.
problem-conflict = Das steht im Konflikt mit vorhandenen Daten
    .detail = Prüfen Sie die vorhandenen Daten und passen Sie die Anfrage an.
problem-id-conflict = Dieselbe Kennung wurde für etwas anderes verwendet
    .detail = Verwenden Sie für ein anderes Ereignis eine neue Kennung.
problem-hold-over = Die Reservierung ist beendet
    .detail = Legen Sie eine neue Reservierung an.
problem-hold-ended = Die Reservierung ist beendet
    .detail = Legen Sie eine neue Reservierung an.
problem-rate-limited = Das Anfragelimit des Schlüssels ist erreicht
    .detail = Warten Sie einen Moment bis zur nächsten Anfrage.
problem-overloaded = Der Server ist ausgelastet
    .detail = Versuchen Sie es in einem Moment noch einmal.
problem-internal = Unerwarteter Fehler
    .detail = Bei uns ist etwas fehlgeschlagen. Der Fehler wurde unter der Kennung dieser Anfrage protokolliert.
problem-unavailable = Die Datenbank ist nicht erreichbar
    .detail = Es wurde nichts geschrieben. Dieselbe Anfrage kann noch einmal gesendet werden.
problem-clock-stepped = Die Uhr des Servers stimmt nicht
    .detail = Es wurde nichts gebucht. Der Betreiber muss die Uhr erst prüfen.
problem-timeout = Die Anfrage hat zu lange gedauert
    .detail = Senden Sie dieselbe Anfrage noch einmal.
problem-payment-declined = Die Zahlung wurde abgelehnt
    .detail = Wählen Sie ein anderes Zahlungsmittel oder fragen Sie Ihre Bank.
problem-payments-not-configured = Dieser Server hat keinen Zahlungsanbieter
    .detail = Fragen Sie den Betreiber dieses Servers nach einem anderen Zahlungsweg.
problem-not-refundable = Das kann nicht erstattet werden
    .detail = Prüfen Sie, wie viel von der Zahlung noch übrig ist.
problem-provider-unavailable = Der Zahlungsanbieter antwortet nicht
    .detail = Senden Sie dieselbe Anfrage in einem Moment noch einmal.
