"""Stateful fake Stripe for Centwise's contract tests. Loopback only, stdlib + official `stripe` SDK (contract, skeletons, signatures).
  python fake_stripe.py PORT HOOK_URL whsec_a[,whsec_b]     two secrets = rotation (two v1 in the header)
Any request is checked against the SDK's own parameter types (unknown/missing -> 400 like Stripe), Idempotency-Key is
honoured (replay, mismatch 400), routes known to the SDK but not modelled answer with a type-complete skeleton.
Control (JSON POST): /_ctl/session/ID/pay {"method":"card|sepa"}; /_ctl/session/ID/settle {"ok":true}; /_ctl/session/ID/expire
  /_ctl/charge/ID/dispute {"reason":..}; /_ctl/dispute/ID/close {"status":"won|lost"}; /_ctl/refund/ID/fail; /_ctl/account/ID {..fields}
  /_ctl/deliver {"order":"fifo|lifo|shuffle","seed":1,"dup":1,"skew":0,"tamper":false,"secret":null,"only":[types],"keep":false}
  /_ctl/charge/ID/fraud; /_ctl/refund_fee {"cents":35}; /_ctl/transfer {"amount":1,"currency":"eur"}; /_ctl/transfer/ID/reverse {"amount":1}
  /_ctl/adjust {"amount":-300,"fee":0,"currency":"eur"}; /_ctl/thin {"type":"v1.billing.meter.no_meter_found"}; pay takes {"amount":..,"currency":"usdc"}
  /_ctl/events (queued); /_ctl/log (requests seen); /_ctl/fault {"path":"/v1/refunds","mode":"500|429|409|timeout|lost","n":1}; /_ctl/reset"""
import json, random, re, sys, threading, time, urllib.parse, urllib.request, hashlib, copy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import stripe, stripe_types as T
PORT, HOOK, SECRETS = int(sys.argv[1]), sys.argv[2], sys.argv[3].split(',')
LOCK = threading.RLock()
class St: pass
S = St()
def reset():
    S.o, S.queue, S.log, S.idem, S.faults, S.n, S.txn, S.refund_fee = {}, [], [], {}, [], 0, [], 0
reset()
PFX = {'customer':'cus','product':'prod','price':'price','payment_method':'pm','setup_intent':'seti','payment_intent':'pi','charge':'ch','refund':'re',
 'checkout.session':'cs_test','transfer':'tr','transfer_reversal':'trr','payout':'po','dispute':'dp','account':'acct','invoice':'in','invoiceitem':'ii',
 'balance_transaction':'txn','webhook_endpoint':'we','mandate':'mandate','subscription':'sub','billing_portal.session':'bps','credit_note':'cn'}
class Err(Exception):
    def __init__(s, st, typ, code, msg, **kw): s.st, s.body = st, {'error': dict(type=typ, code=code, message=msg, **kw)}
def new(obj, id=None, **f):
    S.n += 1
    try: o = T.skeleton(obj)
    except KeyError: o = {'object': obj}
    o.update(id=id or f"{PFX.get(obj, obj.replace('.', '_'))}_{S.n:06d}fake", created=int(time.time()), livemode=False)
    o['metadata'] = o.get('metadata') or {}
    for k, v in f.items():  # form values are strings: coerce by the skeleton's type
        t = o.get(k)
        o[k] = int(v) if isinstance(t, int) and not isinstance(t, bool) and isinstance(v, str) and re.fullmatch(r'-?\d+', v) else v == 'true' if isinstance(t, bool) and isinstance(v, str) else v if not isinstance(t, dict) or not isinstance(v, dict) or k == 'metadata' else {**t, **v}
    S.o[o['id']] = o
    return o
def get(id, kind=None):
    o = S.o.get(id)
    if not o: raise Err(404, 'invalid_request_error', 'resource_missing', f"No such {kind or 'object'}: '{id}'", param='id')
    return o
def event(typ, obj, prev=None, account=None):
    S.n += 1
    e = {'id': f'evt_{S.n:06d}fake', 'object': 'event', 'api_version': T.API_VERSION, 'created': int(time.time()), 'livemode': False, 'pending_webhooks': 1,
         'request': {'id': None, 'idempotency_key': None}, 'type': typ, 'data': {'object': copy.deepcopy(obj)}}
    if prev: e['data']['previous_attributes'] = prev
    if account: e['account'] = account
    S.queue.append(e); S.o[e['id']] = e
def txn(typ, amount, cur, source, fee=0):
    t = new('balance_transaction', type=typ, amount=amount, currency=cur, net=amount - fee, fee=fee, source=source, status='pending', fee_details=[], available_on=int(time.time()) + 172800, reporting_category=typ, balance_type='payments')
    S.txn.append(t); return t['id']
def num(d, k, dflt=None): return int(d[k]) if k in d else dflt
def bal(cur): return sum(t['net'] for t in S.txn if t['currency'] == cur)
# ---- payment core
def charge_pi(pi, pm_type):
    ch = new('charge', amount=pi['amount'], amount_captured=pi['amount'], amount_refunded=0, currency=pi['currency'], paid=True, captured=True, refunded=False, disputed=False, status='succeeded',
             payment_intent=pi['id'], customer=pi.get('customer'), payment_method=pi.get('payment_method'), metadata=dict(pi['metadata']), payment_method_details={'type': pm_type})
    ch['balance_transaction'] = txn('charge' if pm_type == 'card' else 'payment', ch['amount'], ch['currency'], ch['id'], fee=ch['amount'] * 15 // 1000 + 25)
    pi.update(status='succeeded', amount_received=pi['amount'], latest_charge=ch['id'], next_action=None, last_payment_error=None)
    event('charge.succeeded', ch); event('payment_intent.succeeded', pi)
    return ch
def confirm(pi, d):
    pm = d.get('payment_method') or pi.get('payment_method')
    if not pm: raise Err(400, 'invalid_request_error', 'payment_intent_unexpected_state', 'You cannot confirm this PaymentIntent because it is missing a payment method.')
    if pi['status'] not in ('requires_confirmation', 'requires_payment_method', 'requires_action'):
        raise Err(400, 'invalid_request_error', 'payment_intent_unexpected_state', f"This PaymentIntent's status is {pi['status']}", payment_intent=copy.deepcopy(pi))
    pi['payment_method'] = pm
    kind = S.o.get(pm, {}).get('_behave', pm)
    off = str(d.get('off_session', '')) == 'true'
    def fail(code, dc=None, st='requires_payment_method'):
        e = {'type': 'card_error', 'code': code, 'decline_code': dc, 'message': 'Your card was declined.', 'payment_method': None}
        pi.update(status=st, last_payment_error=e); event('payment_intent.payment_failed', pi)
        raise Err(402, 'card_error', code, e['message'], decline_code=dc, payment_intent=copy.deepcopy(pi))
    if 'declined' in kind.lower(): fail('card_declined', 'insufficient_funds' if 'insufficient' in kind.lower() else 'generic_decline')
    if 'authenticationRequired' in kind:
        if off: fail('authentication_required', 'authentication_required')
        pi.update(status='requires_action', next_action={'type': 'use_stripe_sdk', 'use_stripe_sdk': {}}); event('payment_intent.requires_action', pi); return
    if 'sepa' in kind: pi['status'] = 'processing'; event('payment_intent.processing', pi); return
    charge_pi(pi, 'card')
def make_pi(d, cfg=None):
    pi = new('payment_intent', amount=num(d, 'amount'), currency=d['currency'], status='requires_payment_method', customer=d.get('customer'), payment_method=d.get('payment_method'),
             metadata=d.get('metadata', {}), capture_method='automatic', confirmation_method='automatic', payment_method_types=['card', 'sepa_debit'], setup_future_usage=d.get('setup_future_usage'),
             description=d.get('description'), transfer_group=d.get('transfer_group'), amount_received=0, amount_capturable=0)
    pi['client_secret'] = pi['id'] + '_secret_x'
    if pi['payment_method']: pi['status'] = 'requires_confirmation'
    event('payment_intent.created', pi); return pi
# ---- modelled routes
R = []
def route(m, p): return lambda f: R.append((m, re.compile('^' + re.sub(r'\{\w+\}', r'([^/]+)', p) + '$'), f))
def crud(path, obj, typ=None):
    @route('POST', path)
    def _c(d): o = new(obj, **{k: v for k, v in d.items() if k != 'expand'}); typ and event(typ + '.created', o); return o
    @route('GET', path)
    def _l(d): return lst(path, [o for o in S.o.values() if o.get('object') == obj and all(o.get(k) == v for k, v in d.items() if k in ('customer', 'payment_intent', 'charge', 'status', 'payout', 'source', 'type'))], d)
    @route('GET', path + '/{id}')
    def _g(d, i):
        o = get(i, obj); e = d.get('expand') or []
        for name in (e.values() if isinstance(e, dict) else e):
            if name in o and isinstance(o[name], str) and o[name] in S.o: o = dict(o, **{name: S.o[o[name]]})
        return o
    @route('POST', path + '/{id}')
    def _u(d, i): o = get(i, obj); o.setdefault('metadata', {}).update(d.pop('metadata', {}) or {}); o.update({k: v for k, v in d.items() if k != 'expand'}); typ and event(typ + '.updated', o); return o
def lst(url, data, d):
    data = list(reversed(data)); lim = int(d.get('limit', 10)); a = d.get('starting_after')
    if a: data = data[[x['id'] for x in data].index(a) + 1:]
    return {'object': 'list', 'url': url, 'data': data[:lim], 'has_more': len(data) > lim}
@route('POST', '/v1/payment_methods')
def _(d): return new('payment_method', type=d.get('type', 'card'), _behave='sepa' if d.get('type') == 'sepa_debit' else 'card')
@route('POST', '/v1/payment_methods/{id}/attach')
def _(d, i): o = S.o.get(i) or new('payment_method', type='card', _behave=i); o['customer'] = d['customer']; event('payment_method.attached', o); return o
@route('POST', '/v1/setup_intents')
def _(d):
    o = new('setup_intent', status='requires_payment_method', customer=d.get('customer'), usage=d.get('usage', 'off_session'), payment_method=d.get('payment_method'), payment_method_types=['card'], metadata=d.get('metadata', {}))
    o['client_secret'] = o['id'] + '_secret_x'
    if d.get('confirm') == 'true': o['status'] = 'succeeded'; event('setup_intent.succeeded', o)
    return o
@route('POST', '/v1/payment_intents')
def _(d):
    pi = make_pi(d)
    if d.get('confirm') == 'true': confirm(pi, d)
    return pi
@route('POST', '/v1/payment_intents/{id}/confirm')
def _(d, i): pi = get(i); confirm(pi, d); return pi
@route('POST', '/v1/payment_intents/{id}/cancel')
def _(d, i):
    pi = get(i)
    if pi['status'] in ('succeeded', 'canceled', 'processing'): raise Err(400, 'invalid_request_error', 'payment_intent_unexpected_state', 'cannot cancel', payment_intent=copy.deepcopy(pi))
    pi.update(status='canceled'); event('payment_intent.canceled', pi); return pi
@route('POST', '/v1/checkout/sessions')
def _(d):
    tot, cur = 0, d.get('currency')
    for li in d.get('line_items', []):
        p = li.get('price_data') or get(li['price'], 'price'); tot += int(p['unit_amount']) * int(li.get('quantity', 1)); cur = p['currency']
    o = new('checkout.session', mode=d['mode'], status='open', payment_status='unpaid', amount_total=tot, amount_subtotal=tot, currency=cur, customer=d.get('customer'), client_reference_id=d.get('client_reference_id'),
            metadata=d.get('metadata', {}), success_url=d.get('success_url'), cancel_url=d.get('cancel_url'), locale=d.get('locale'), payment_method_types=d.get('allowed_payment_method_types', ['card', 'sepa_debit']),
            expires_at=num(d, 'expires_at', int(time.time()) + 86400), payment_intent=None, ui_mode=None, submit_type=None, url=None, _pid=d.get('payment_intent_data', {}))
    if not (1800 - 60 <= o['expires_at'] - time.time() <= 86400 + 60): raise Err(400, 'invalid_request_error', None, 'expires_at must be 30 minutes to 24 hours ahead', param='expires_at')
    o['url'] = f'https://checkout.stripe.com/c/pay/{o["id"]}'; return o
@route('POST', '/v1/checkout/sessions/{id}/expire')
def _(d, i):
    s = get(i)
    if s['status'] != 'open': raise Err(400, 'invalid_request_error', None, 'Only Checkout Sessions with a status in ["open"] can be expired.')
    s.update(status='expired', url=None); event('checkout.session.expired', s); return s
@route('POST', '/v1/refunds')
def _(d):
    ch = get(d['charge']) if 'charge' in d else get(get(d['payment_intent'], 'payment_intent').get('latest_charge') or '-', 'charge')
    left = ch['amount'] - ch['amount_refunded']; amt = num(d, 'amount', left)
    if left <= 0: raise Err(400, 'invalid_request_error', 'charge_already_refunded', f"Charge {ch['id']} has already been refunded.")
    if amt > left or amt <= 0: raise Err(400, 'invalid_request_error', None, f'Refund amount ({amt}) is greater than unrefunded amount on charge ({left})', param='amount')
    r = new('refund', amount=amt, currency=ch['currency'], charge=ch['id'], payment_intent=ch['payment_intent'], status='succeeded', reason=d.get('reason'), metadata=d.get('metadata', {}))
    r['balance_transaction'] = txn('refund', -amt, ch['currency'], r['id'], fee=S.refund_fee)
    prev = {'amount_refunded': ch['amount_refunded']}; ch['amount_refunded'] += amt; ch['refunded'] = ch['amount_refunded'] == ch['amount']
    event('refund.created', r); event('charge.refunded', ch, prev); event('refund.updated', r); return r
@route('GET', '/v1/balance')
def _(d): b = T.skeleton('balance'); b.update(object='balance', available=[], pending=[{'amount': bal(c), 'currency': c, 'source_types': {}} for c in sorted({t['currency'] for t in S.txn})]); return b
@route('POST', '/v1/transfers')
def _(d):
    a, c = num(d, 'amount'), d['currency']; get(d['destination'], 'account')
    if not d.get('source_transaction') and a > bal(c): raise Err(400, 'invalid_request_error', 'balance_insufficient', 'You have insufficient available funds in your Stripe account.')
    t = new('transfer', amount=a, currency=c, destination=d['destination'], source_transaction=d.get('source_transaction'), transfer_group=d.get('transfer_group'), metadata=d.get('metadata', {}), amount_reversed=0, reversed=False)
    t['balance_transaction'] = txn('transfer', -a, c, t['id']); event('transfer.created', t); return t
@route('POST', '/v1/transfers/{id}/reversals')
def _(d, i):
    t = get(i); a = num(d, 'amount', t['amount'] - t['amount_reversed'])
    if a > t['amount'] - t['amount_reversed']: raise Err(400, 'invalid_request_error', None, 'Reversal amount exceeds transfer', param='amount')
    t['amount_reversed'] += a; t['reversed'] = t['amount_reversed'] == t['amount']
    r = new('transfer_reversal', amount=a, currency=t['currency'], transfer=i); r['balance_transaction'] = txn('transfer_refund', a, t['currency'], r['id']); event('transfer.reversed', t); return r
@route('POST', '/v1/invoices')
def _(d):
    its = [o for o in S.o.values() if o.get('object') == 'invoiceitem' and o.get('customer') == d.get('customer') and not o.get('invoice')]
    o = new('invoice', status='draft', customer=d.get('customer'), currency=d.get('currency') or (its[0]['currency'] if its else 'eur'), metadata=d.get('metadata', {}), collection_method=d.get('collection_method', 'charge_automatically'))
    if d.get('pending_invoice_items_behavior', 'exclude') == 'include':
        for it in its: it['invoice'] = o['id']
    event('invoice.created', o); return o
def inv_total(o): o['total'] = o['amount_due'] = sum(int(i.get('amount') or 0) for i in S.o.values() if i.get('object') == 'invoiceitem' and i.get('invoice') == o['id']); o['amount_remaining'] = o['total']
@route('POST', '/v1/invoices/{id}/finalize')
def _(d, i): o = get(i); inv_total(o); o.update(status='open' if o['total'] else 'paid', number='F-%04d' % S.n); event('invoice.finalized', o); return o
@route('POST', '/v1/invoices/{id}/pay')
def _(d, i): o = get(i); o.update(status='paid', amount_paid=o['total'], amount_remaining=0); event('invoice.paid', o); event('invoice.payment_succeeded', o); return o
@route('POST', '/v1/invoices/{id}/void')
def _(d, i): o = get(i); o.update(status='void'); event('invoice.voided', o); return o
@route('POST', '/v1/account_links')
def _(d): return {'object': 'account_link', 'created': int(time.time()), 'expires_at': int(time.time()) + 300, 'url': 'https://connect.stripe.com/setup/x'}
for p, o, t in (('customers', 'customer', 'customer'), ('products', 'product', None), ('prices', 'price', None), ('payment_intents', 'payment_intent', None), ('setup_intents', 'setup_intent', None), ('charges', 'charge', None),
                ('refunds', 'refund', None), ('checkout/sessions', 'checkout.session', None), ('balance_transactions', 'balance_transaction', None), ('transfers', 'transfer', None), ('payouts', 'payout', 'payout'), ('events', 'event', None),
                ('disputes', 'dispute', None), ('accounts', 'account', None), ('invoices', 'invoice', None), ('invoiceitems', 'invoiceitem', None), ('webhook_endpoints', 'webhook_endpoint', None), ('payment_methods', 'payment_method', None)):
    crud('/v1/' + p, o, t)
# ---- control
def ctl(path, d):
    p = path.strip('/').split('/')[1:]
    if p[0] == 'session':
        s = get(p[1])
        if p[2] == 'pay':
            pi = make_pi({'amount': d.get('amount', s['amount_total']), 'currency': d.get('currency', s['currency']), 'metadata': dict(s['_pid'].get('metadata', {})), **({'customer': s['customer']} if s['customer'] else {})})
            s.update(payment_intent=pi['id'], status='complete', url=None)
            if d.get('method') == 'sepa': confirm(pi, {'payment_method': 'pm_sepa'})
            else: pi['payment_method'] = 'pm_card_visa'; charge_pi(pi, 'card'); s['payment_status'] = 'paid'
            event('checkout.session.completed', s)
        elif p[2] == 'settle':
            pi = get(s['payment_intent'])
            if d.get('ok', True): charge_pi(pi, 'sepa_debit'); s['payment_status'] = 'paid'; event('checkout.session.async_payment_succeeded', s)
            else: pi.update(status='requires_payment_method', last_payment_error={'type': 'card_error', 'code': 'payment_intent_payment_attempt_failed', 'message': 'insufficient funds'}); event('payment_intent.payment_failed', pi); event('checkout.session.async_payment_failed', s)
        elif p[2] == 'expire': s.update(status='expired', url=None); event('checkout.session.expired', s)
        return s
    if p[0] == 'charge' and p[2] == 'dispute':
        ch = get(p[1]); ch['disputed'] = True
        dp = new('dispute', amount=int(d.get('amount', ch['amount'])), currency=ch['currency'], charge=ch['id'], payment_intent=ch['payment_intent'], reason=d.get('reason', 'fraudulent'), status=d.get('status', 'needs_response'), is_charge_refundable=False)
        event('charge.dispute.created', dp); dp['balance_transactions'] = [S.o[txn('adjustment', -dp['amount'], dp['currency'], dp['id'], fee=int(d.get('fee', 2000)))]]; event('charge.dispute.funds_withdrawn', dp); return dp
    if p[0] == 'charge' and p[2] == 'fraud':
        ch = get(p[1]); w = new('radar.early_fraud_warning', charge=ch['id'], payment_intent=ch['payment_intent'], fraud_type='unauthorized_use_of_card', actionable=True)
        event('radar.early_fraud_warning.created', w); return w
    if p[0] == 'refund_fee': S.refund_fee = int(d['cents']); return {'ok': True}
    if p[0] == 'adjust': return S.o[txn('adjustment', int(d['amount']), d['currency'], None, fee=int(d.get('fee', 0)))]
    if p[0] == 'transfer' and len(p) == 1:
        t = new('transfer', amount=int(d['amount']), currency=d['currency'], destination='acct_1', metadata={}, amount_reversed=0, reversed=False)
        t['balance_transaction'] = txn('transfer', -t['amount'], t['currency'], t['id']); event('transfer.created', t); return t
    if p[0] == 'transfer' and p[2] == 'reverse':
        t = get(p[1]); a = int(d.get('amount', t['amount'] - t['amount_reversed'])); t['amount_reversed'] += a; t['reversed'] = t['amount_reversed'] == t['amount']
        r = new('transfer_reversal', amount=a, currency=t['currency'], transfer=t['id']); r['balance_transaction'] = txn('transfer_refund', a, t['currency'], r['id']); event('transfer.reversed', t); return t
    if p[0] == 'thin':
        S.n += 1; e = {'id': f'evt_test_{S.n:06d}fake', 'object': 'v2.core.event', 'type': d['type'], 'livemode': False, 'created': '2026-11-20T12:00:00.000Z',
             'related_object': {'id': 'mtr_1', 'type': 'billing.meter', 'url': '/v1/billing/meters/mtr_1'}}
        S.queue.append(e); return e
    if p[0] == 'dispute' and p[2] == 'close':
        dp = get(p[1]); dp['status'] = d['status']; event('charge.dispute.closed', dp)
        if d['status'] == 'won': dp['balance_transactions'].append(S.o[txn('adjustment', dp['amount'], dp['currency'], dp['id'])]); event('charge.dispute.funds_reinstated', dp)
        return dp
    if p[0] == 'refund' and p[2] == 'fail':
        r = get(p[1]); r.update(status='failed', failure_reason='expired_or_canceled_card'); ch = get(r['charge']); prev = {'amount_refunded': ch['amount_refunded']}; ch['amount_refunded'] -= r['amount']; ch['refunded'] = False
        r['failure_balance_transaction'] = txn('refund_failure', r['amount'], r['currency'], r['id']); event('refund.failed', r); event('refund.updated', r); return r
    if p[0] == 'account': a = get(p[1]); a.update(d); event('account.updated', a, account=a['id']); return a
    if p[0] == 'events': return {'data': [{'id': e['id'], 'type': e['type']} for e in S.queue]}
    if p[0] == 'log': return {'data': S.log}
    if p[0] == 'fault': S.faults.append(dict(d, n=int(d.get('n', 1)))); return {'ok': True}
    if p[0] == 'reset': reset(); return {'ok': True}
    if p[0] == 'deliver':
        q = [e for e in S.queue if not d.get('only') or e['type'] in d['only']]
        if not d.get('keep'): S.queue = [e for e in S.queue if e not in q]
        q = q * int(d.get('dup', 1))
        if d.get('order') == 'lifo': q = q[::-1]
        if d.get('order') == 'shuffle': random.Random(d.get('seed', 1)).shuffle(q)
        return ('deliver', q, d)
    raise Err(404, 'ctl', None, 'unknown control')
def strip(o): return {k: strip(v) for k, v in o.items() if not (isinstance(k, str) and k.startswith('_'))} if isinstance(o, dict) else [strip(x) for x in o] if isinstance(o, list) else o
def post_hook(e, d):
    e = strip(e)
    if d.get('api_version'): e['api_version'] = d['api_version']
    body = json.dumps(e, indent=2)  # Stripe pretty-prints; a handler that re-serialises will fail here
    ts = int(time.time()) + int(d.get('skew', 0)); sigs = [stripe.WebhookSignature.generate_signature_header(body, s, ts) for s in ([d['secret']] if d.get('secret') else SECRETS)]
    hdr = sigs[0] + ''.join(',' + s.split(',', 1)[1] for s in sigs[1:]) + ',v0=' + '0' * 64
    if d.get('tamper'): body = body.replace('"livemode": false', '"livemode": true', 1)
    req = urllib.request.Request(HOOK, data=body.encode(), headers={'Content-Type': 'application/json; charset=utf-8', 'Stripe-Signature': hdr, 'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)'})
    try: st = urllib.request.urlopen(req, timeout=10).status
    except urllib.error.HTTPError as x: st = x.code
    except Exception as x: st = repr(x)
    return {'id': e['id'], 'type': e['type'], 'status': st}
class H(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *a): pass
    def out(self, st, o, **hd):
        b = json.dumps(strip(o), indent=2).encode(); self.send_response(st); self.send_header('content-type', 'application/json'); self.send_header('content-length', str(len(b))); self.send_header('request-id', 'req_fake')
        for k, v in hd.items(): self.send_header(k.replace('_', '-'), v)
        self.end_headers(); self.wfile.write(b)
    def do(self):
        u = urllib.parse.urlsplit(self.path); raw = self.rfile.read(int(self.headers.get('content-length') or 0)).decode(); m = self.command
        try:
            if u.path.startswith('/_ctl/'):
                with LOCK: r = ctl(u.path, json.loads(raw or '{}'))
                if isinstance(r, tuple): r = {'delivered': [post_hook(e, r[2]) for e in r[1]]}
                return self.out(200, r)
            if not re.match(r'(Bearer|Basic) ', self.headers.get('Authorization', '')): raise Err(401, 'invalid_request_error', None, 'You did not provide an API key.')
            d = T.form_decode(urllib.parse.parse_qsl(raw if m == 'POST' else u.query, keep_blank_values=True)); key = self.headers.get('Idempotency-Key')
            with LOCK:
                S.log.append({'m': m, 'path': u.path, 'key': key, 'ver': self.headers.get('Stripe-Version'), 'acct': self.headers.get('Stripe-Account'), 'data': copy.deepcopy(d)})
                f = next((f for f in S.faults if f['n'] > 0 and u.path.startswith(f['path'])), None)
                if f: f['n'] -= 1
                if f and f['mode'] in ('500', '429', '409'): raise Err(int(f['mode']), 'api_error' if f['mode'] == '500' else 'invalid_request_error', {'429': 'rate_limit', '409': 'idempotency_key_in_use'}.get(f['mode']), 'injected')
                fp = hashlib.sha256((m + u.path + raw).encode()).hexdigest()
                if key and m == 'POST' and key in S.idem:
                    k = S.idem[key]
                    if k[0] != fp: raise Err(400, 'idempotency_error', None, 'Keys for idempotent requests can only be used with the same parameters they were first used with.')
                    return self.out(k[1], k[2], Idempotent_Replayed='true')
                rt = T.match(m, u.path)
                if not rt: raise Err(404, 'invalid_request_error', None, f'Unrecognized request URL ({m}: {u.path}).')
                if 'payment_method_types' in d and u.path.split('/')[2] in ('payment_intents', 'setup_intents', 'checkout'): raise Err(400, 'invalid_request_error', 'payment_method_types_no_longer_supported', 'payment_method_types is no longer supported', param='payment_method_types')
                bad = T.validate(rt[3], d)
                if bad: raise Err(400, 'invalid_request_error', bad[0], {'parameter_unknown': 'Received unknown parameter: ', 'parameter_missing': 'Missing required param: '}.get(bad[0], 'Invalid integer: ') + bad[1], param=bad[1])
                st = 200
                try:
                    hit = next(((x, fn) for mm, rx, fn in R if mm == m and (x := rx.match(u.path))), None)
                    if hit: res = hit[1](d, *hit[0].groups())
                    elif rt[5]: res = {'object': 'list', 'data': [], 'has_more': False, 'url': u.path}
                    else: # route known to the SDK, not modelled: type-complete skeleton of the response object, request values reflected where the type fits
                        sk = T.skeleton(rt[4]) if rt[4] else {}
                        res = new(rt[4] or 'unmodelled', **{k: v for k, v in d.items() if k in sk and isinstance(v, str) and not isinstance(sk[k], (dict, list))}, _unmodelled=True)
                    res = copy.deepcopy(res)
                except Err as x: st, res = x.st, x.body
                if key and m == 'POST' and (st == 200 or st == 402): S.idem[key] = (fp, st, res)
            if f and f['mode'] == 'lost': self.connection.close(); return     # committed, answer lost
            if f and f['mode'] == 'timeout': time.sleep(float(f.get('s', 30)))
            self.out(st, res)
        except Err as x: self.out(x.st, x.body)
    do_GET = do_POST = do_DELETE = do
if __name__ == '__main__':
    ThreadingHTTPServer(('127.0.0.1', PORT), H).serve_forever()
