# What customers, resellers and the platform's operator read. Arguments are ready to show, except counts, which choose
# between singular and plural; `*-shown` is the same number with its groups.

## Notices: `.subject` is an e-mail's subject, the message itself its text.

balance-low =
    The balance of { $tenant } is { $balance }. It has reached your notification threshold of { $threshold }.

    Please top it up in time to avoid an interruption.
    .subject = Low balance: { $balance }

balance-exhausted =
    The balance of { $tenant } is used up. It is now { $balance }.

    New calls and sessions that need funds are refused until it is topped up.
    .subject = The balance of { $tenant } is used up

top-up-succeeded =
    { $amount } has been credited to the balance of { $tenant }. Thank you.
    .subject = Payment received: { $amount }

top-up-failed =
    The payment of { $amount } for { $tenant } failed. Nothing was credited.

    Please try again, or use a different payment method.
    .subject = Payment of { $amount } failed

top-up-action-required =
    Your bank asks you to confirm the payment of { $amount } for { $tenant }. Nothing is credited until then.

    Confirm it here: { $url }
    .subject = Please confirm your payment of { $amount }

auto-top-up-paused =
    { $reason ->
        [month_max_reached] Automatic top-ups of { $tenant } have reached their maximum of { $amount } for this month. They resume automatically next month. Until then, please top up manually to avoid an interruption.
        [refunded] { $tenant } is no longer topped up automatically: an automatic top-up was refunded. Switch automatic top-ups on again if they should continue. Until then, please top up manually to avoid an interruption.
        [disputed] { $tenant } is no longer topped up automatically: a payment was disputed with the payer's bank. To resume, pay a top-up and save the payment method. Until then, please top up manually to avoid an interruption.
        [fraud_reported] { $tenant } is no longer topped up automatically: a payment was reported to the payer's bank as fraud. To resume, pay a top-up and save the payment method. Until then, please top up manually to avoid an interruption.
        [not_by_usage] { $tenant } is not topped up automatically at the moment: its balance is low because of a refund or an adjustment, not because of usage. Until then, please top up manually to avoid an interruption.
        [tenant_closed] { $tenant } is no longer topped up automatically: it is closed. Nothing more will be charged.
        [no_agreement_in_force] { $tenant } is no longer topped up automatically: it has no agreement in force. Nothing is charged until it has one and automatic top-ups are switched on again.
        [currency_not_agreed] { $tenant } is no longer topped up automatically: its agreement is in another currency.
        [not_collected_here] { $tenant } is no longer topped up automatically: it pays its reseller directly.
       *[other] { $tenant } is no longer topped up automatically: the saved payment method can no longer be charged. Until then, please top up manually to avoid an interruption.
    }
    .subject = Automatic top-ups of { $tenant } are paused

payout-paid =
    Commission of { $amount } was paid out to { $tenant }.
    .subject = Commission paid out: { $amount }

payout-failed =
    The commission payout of { $amount } to { $tenant } failed. The amount remains payable.

    Please check the account that receives payouts.
    .subject = Payout of { $amount } failed

usage-unrated =
    { $count ->
        [one] One usage event of { $tenant } was kept without a price
       *[other] { $count-shown } usage events of { $tenant } were kept without a price
    } (reason: { $reason }).

    Nothing is lost: usage can be rated as soon as the cause is resolved.
    .subject = { $count ->
        [one] { $count-shown } usage event could not be priced
       *[other] { $count-shown } usage events could not be priced
    }

margin-negative =
    { $tenant } pays more for usage than it receives for it: its share of the latest usage is { $amount }.

    Please compare its selling prices with its buying prices.
    .subject = Negative margin: { $tenant }

hold-expired =
    { $count ->
        [one] One hold of { $tenant } expired without being captured or released
       *[other] { $count-shown } holds of { $tenant } expired without being captured or released
    }. The reserved amount is available again.

    If this continues, the ends of calls or sessions are not being reported.
    .subject = { $count ->
        [one] { $count-shown } hold expired
       *[other] { $count-shown } holds expired
    }

payment-attention =
    A payment needs your attention: { $what } ({ $amount }, { $tenant }).
    .subject = A payment needs attention: { $what }

test =
    This is a test message. Everything is working.
    .subject = Test message

## The frame of an e-mail.

mail-greeting = Hello,
mail-footer = You receive this message because this address is a contact of { $tenant }. The person who manages { $tenant } can change that.

## Alerts of `health-check`.

health-alert =
    Health check result: { $status }.

    { $findings }
    .subject = Health check: { $status }

## The pages a customer returns to after paying.

page-paid = Your payment was received: { $amount } has been credited to your balance.
    .title = Thank you
page-processing = Your bank is still processing the payment of { $amount }. It will be credited as soon as it arrives, which may take a few days for direct debits.
    .title = Payment in progress
page-open = Nothing has been paid yet. Once your payment of { $amount } arrives, this page will update automatically.
    .title = Not paid yet
page-failed = The payment of { $amount } failed. Nothing was credited.
    .title = Payment failed
page-refunded = { $refunded } of your payment of { $amount } has been refunded.
    .title = Payment refunded
page-unclear = A payment has arrived, but it does not match the requested payment ({ $amount }). It is held until someone has checked it.
    .title = Payment under review

## Refusals, by their stable code; `.detail` says what to do.

problem-unauthorized = A valid API key is required
    .detail = Send a valid API key in the Authorization header.
problem-forbidden = The key's scope does not allow this
    .detail = Use a key with the required scope.
problem-insufficient-balance = The balance does not cover this
    .detail = Top up the balance and try again.
problem-exhausted = The balance is used up
    .detail = Top up the balance and try again.
problem-not-found = Not found
    .detail = Nothing with this name is within the reach of this key.
problem-invalid-json = The body is not valid JSON
    .detail = Send a valid JSON body.
problem-invalid-request = The request is not well formed
    .detail = Check the request against the documentation.
problem-missing-field = A field is missing
    .detail = Provide the named field.
problem-invalid-field = A field is not valid
    .detail = Correct the named field.
problem-unknown-field = A field is not known
    .detail = Omit the named field, or correct its name.
problem-missing-idempotency-key = The Idempotency-Key header is required
    .detail = Send an Idempotency-Key header, so that a repeated request is carried out only once.
problem-idempotency-conflict = The Idempotency-Key was used for another request
    .detail = Use a new key for another request.
problem-idempotency-in-progress = The first request with this Idempotency-Key is still running
    .detail = Wait a moment and send the same request again.
problem-conflict = This conflicts with what exists
    .detail = Check what exists and adapt the request.
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
    .detail = Nothing was posted. The operator must check the clock first.
problem-timeout = The request took too long
    .detail = Send the same request again.
problem-payment-declined = The payment was declined
    .detail = Use a different payment method, or ask your bank.
problem-payments-not-configured = This server has no payment provider
    .detail = Ask the operator of this server for another way to pay.
problem-not-refundable = This cannot be refunded
    .detail = Check how much of the payment is left.
problem-provider-unavailable = The payment provider does not answer
    .detail = Send the same request again in a moment.
