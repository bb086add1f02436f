# What customers, resellers and the platform's operator read. Arguments are ready to show, except counts, which choose
# between singular and plural; `*-shown` is the same number with its groups.

## Notices: `.subject` is an e-mail's subject, the message itself its text.

balance-low =
    The balance of { $tenant } is { $balance }. It has reached the limit of { $threshold } at which you wanted to be told.

    Please top it up in time, so that nothing stops.
    .subject = Low balance: { $balance }

balance-exhausted =
    The balance of { $tenant } is used up: it is { $balance }.

    New calls and sessions that need cover are refused until it is topped up.
    .subject = The balance of { $tenant } is used up

top-up-succeeded =
    { $amount } were credited to the balance of { $tenant }. Thank you.
    .subject = Payment received: { $amount }

top-up-failed =
    The payment of { $amount } for { $tenant } did not succeed. Nothing was credited.

    Please try again, or use another means of payment.
    .subject = Payment of { $amount } failed

top-up-action-required =
    Your bank asks you to confirm the payment of { $amount } for { $tenant }. Until then nothing is credited.

    Confirm it here: { $url }
    .subject = Please confirm your payment of { $amount }

auto-top-up-paused =
    { $reason ->
        [month_max_reached] Automatic top-ups of { $tenant } have reached their maximum of { $amount } for this month. They go on by themselves next month. Until then please top up by hand, so that nothing stops.
        [refunded] { $tenant } is topped up by itself no longer: an automatic top-up was given back. Set it on again if it is to go on. Until then please top up by hand, so that nothing stops.
        [disputed] { $tenant } is topped up by itself no longer: a payment was disputed at the payer's bank. Pay a top-up with a means of payment to keep, so that it goes on. Until then please top up by hand, so that nothing stops.
        [fraud_reported] { $tenant } is topped up by itself no longer: a payment was reported to the payer's bank as fraud. Pay a top-up with a means of payment to keep, so that it goes on. Until then please top up by hand, so that nothing stops.
        [not_by_usage] { $tenant } is not topped up by itself at the moment: its balance is low because money was given back or adjusted, not by usage. Until then please top up by hand, so that nothing stops.
        [tenant_closed] { $tenant } is topped up by itself no longer: it is closed. Nothing is charged any more.
        [no_agreement_in_force] { $tenant } is topped up by itself no longer: it has no agreement in force. Nothing is charged until it has one and the setting is on again.
        [currency_not_agreed] { $tenant } is topped up by itself no longer: its agreement is in another currency.
        [not_collected_here] { $tenant } is topped up by itself no longer: it pays its reseller.
       *[other] { $tenant } is topped up by itself no longer: the means of payment that was kept can no longer be charged. Until then please top up by hand, so that nothing stops.
    }
    .subject = Automatic top-ups of { $tenant } are paused

payout-paid =
    { $amount } in commission were paid out to { $tenant }.
    .subject = Commission paid out: { $amount }

payout-failed =
    The payout of { $amount } in commission to { $tenant } failed. The amount stays payable.

    Please check the account that payouts go to.
    .subject = Payout of { $amount } failed

usage-unrated =
    { $count ->
        [one] One usage event of { $tenant } was kept without a price
       *[other] { $count-shown } usage events of { $tenant } were kept without a price
    } (reason: { $reason }).

    They are not lost: they can be rated as soon as the reason is gone.
    .subject = { $count ->
        [one] { $count-shown } usage event could not be priced
       *[other] { $count-shown } usage events could not be priced
    }

margin-negative =
    { $tenant } pays more for usage than it receives for it: its part of the latest usage is { $amount }.

    Please compare the prices it sells at with those it buys at.
    .subject = Negative margin: { $tenant }

hold-expired =
    { $count ->
        [one] One hold of { $tenant } expired without being captured or released
       *[other] { $count-shown } holds of { $tenant } expired without being captured or released
    }. What it set aside is available again.

    If this goes on, ends of calls or sessions are not being reported.
    .subject = { $count ->
        [one] { $count-shown } hold expired
       *[other] { $count-shown } holds expired
    }

payment-attention =
    A payment needs your attention: { $what } ({ $amount }, { $tenant }).
    .subject = A payment needs attention: { $what }

test =
    This is a test message. Everything works.
    .subject = Test message

## The frame of an e-mail.

mail-greeting = Hello,
mail-footer = You receive this because this address is a contact of { $tenant }. Whoever manages { $tenant } can change that.

## Alerts of `health-check`.

health-alert =
    The health check found: { $status }.

    { $findings }
    .subject = Health check: { $status }

## The pages a customer comes back to from paying.

page-paid = Your payment was received: { $amount } are on your balance.
    .title = Thank you
page-processing = Your bank is still processing the payment of { $amount }. It is credited as soon as it arrives, which may take a few days for direct debits.
    .title = Payment under way
page-open = Nothing has been paid yet. Once your payment of { $amount } arrives, this page says so by itself.
    .title = Not paid yet
page-failed = The payment of { $amount } did not succeed. Nothing was credited.
    .title = Payment failed
page-refunded = Of your payment of { $amount }, { $refunded } were given back.
    .title = Payment refunded
page-unclear = A payment has arrived, but it does not match what was asked for ({ $amount }). It is kept until somebody has looked at it.
    .title = Payment being checked

## Refusals, by their stable code; `.detail` says what to do.

problem-unauthorized = A valid API key is required
    .detail = Send a valid API key in the Authorization header.
problem-forbidden = The key's scope does not allow this
    .detail = Use a key with the scope that this needs.
problem-insufficient-balance = The balance does not cover this
    .detail = Top up the balance and try again.
problem-exhausted = The balance is used up
    .detail = Top up the balance and try again.
problem-not-found = Not found
    .detail = There is nothing of this name within the reach of this key.
problem-invalid-json = The body is not valid JSON
    .detail = Send a body that is valid JSON.
problem-invalid-request = The request is not well formed
    .detail = Check the request against the documentation.
problem-missing-field = A field is missing
    .detail = Give the field that is named.
problem-invalid-field = A field is not valid
    .detail = Correct the field that is named.
problem-unknown-field = A field is not known
    .detail = Leave out the field that is named, or correct its name.
problem-missing-idempotency-key = The Idempotency-Key header is required
    .detail = Send an Idempotency-Key header, so that a repeated request is carried out once.
problem-idempotency-conflict = The Idempotency-Key was used for another request
    .detail = Use a new key for another request.
problem-idempotency-in-progress = The first request with this Idempotency-Key is still running
    .detail = Wait a moment and send the same request again.
problem-conflict = This conflicts with what exists
    .detail = Look at what exists and adapt the request.
problem-id-conflict = The same id was used for something else
    .detail = Use a new id for another event.
problem-hold-over = The hold has ended
    .detail = Place a new hold.
problem-hold-ended = The hold has ended
    .detail = Place a new hold.
problem-rate-limited = The key's request limit is reached
    .detail = Wait a moment before the next request.
problem-overloaded = The engine is at its limit
    .detail = Try again in a moment.
problem-internal = An unexpected error
    .detail = Something failed on our side. It has been logged under this request's id.
problem-unavailable = The database is not available
    .detail = Nothing was written. The same request may be sent again.
problem-clock-stepped = The clock has stepped: no money is written
    .detail = Nothing was posted. The operator has to look at the clock first.
problem-timeout = The request took too long
    .detail = Send the same request again.
problem-payment-declined = The payment was declined
    .detail = Use another means of payment, or ask your bank.
problem-payments-not-configured = This server has no payment provider
    .detail = Ask who runs this server for another way to pay.
problem-not-refundable = This cannot be given back
    .detail = Look at what is left of the payment.
problem-provider-unavailable = The payment provider does not answer
    .detail = Send the same request again in a moment.
