import type { CheckName } from '@cashflow/webhook-sender'
import type { Change, Language } from './programs.ts'

/** A mistake that integrators make, and the cases of the check that find it. */
export interface Mistake {
  readonly name: string
  readonly found: readonly CheckName[]
  /** How the receiver of each language makes it. */
  readonly changes: Readonly<Record<Language, readonly Change[]>>
}

const MIDDLEWARE = 'webhookMiddleware({ secrets })'
const INSERT = 'INSERT INTO webhooks VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING'
const INSERT_AGAIN = 'INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?, ?)'
const LATER = 'AND sequence > ?'
const LATER_NEVER = 'AND sequence > 99 + ?'
const UNVERIFIED = [
  ...(['forged_signature', 'empty_secret', 'missing_signature', 'empty_signature', 'unknown_version'] as const),
  ...(['changed_body', 'changed_id', 'changed_timestamp', 'stale_timestamp', 'future_timestamp'] as const),
]

const UNSIGNED = "(req, _res, next) => { req.webhook = { id: req.headers['webhook-id'], ...req.body }; next() }"
const WRITTEN_AGAIN = '(req, _res, next) => { req.body = Buffer.from(JSON.stringify(req.body)); next() }'
const FIRST_ONLY =
  "(req, _res, next) => { req.headers['webhook-signature'] = req.headers['webhook-signature']?.split(' ')[0]; next() }"

export const MISTAKES: readonly Mistake[] = [
  {
    name: 'checks no signature',
    found: UNVERIFIED,
    changes: {
      js: [[MIDDLEWARE, `express.json({ limit: '1mb' }), ${UNSIGNED}`]],
      python: [
        ['if not id or not any(hmac.compare_digest(one, other) for one in given for other in expected):', 'if not id:'],
        ['abs(now - int(timestamp)) > TOLERANCE_S', 'False'],
      ],
      php: [
        ["$id === '' || !$isSigned", "$id === ''"],
        ['abs($now - (int) $timestamp) > TOLERANCE_S', 'false'],
      ],
    },
  },
  {
    name: 'checks no timestamp',
    found: ['stale_timestamp', 'future_timestamp'],
    changes: {
      js: [[MIDDLEWARE, 'webhookMiddleware({ secrets, toleranceS: Infinity })']],
      python: [['abs(now - int(timestamp)) > TOLERANCE_S', 'False']],
      php: [['abs($now - (int) $timestamp) > TOLERANCE_S', 'false']],
    },
  },
  {
    name: 'accepts timestamps of the future',
    found: ['future_timestamp'],
    changes: {
      js: [
        [
          MIDDLEWARE,
          'webhookMiddleware({ secrets, toleranceS: Infinity }), (req, res, next) => Date.now() / 1000 - req.headers["webhook-timestamp"] > 300 ? res.sendStatus(400) : next()',
        ],
      ],
      python: [['abs(now - int(timestamp))', '(now - int(timestamp))']],
      php: [['abs($now - (int) $timestamp)', '($now - (int) $timestamp)']],
    },
  },
  {
    name: 'verifies JSON that it has written again',
    found: ['raw_bytes'],
    changes: {
      js: [[MIDDLEWARE, `express.json({ limit: '1mb' }), ${WRITTEN_AGAIN}, ${MIDDLEWARE}`]],
      python: [['.encode() + body', '.encode() + json.dumps(json.loads(body), separators=(",", ":")).encode()']],
      php: [['"$id.$timestamp.$body"', '"$id.$timestamp." . json_encode(json_decode($body))']],
    },
  },
  {
    name: 'looks at the first signature only',
    found: ['two_signatures'],
    changes: {
      js: [[MIDDLEWARE, `${FIRST_ONLY}, ${MIDDLEWARE}`]],
      python: [['.split(b" ")', '.split(b" ")[:1]']],
      php: [["explode(' ', $signatures)", "[explode(' ', $signatures)[0]]"]],
    },
  },
  {
    name: 'handles duplicates again',
    found: ['duplicate', 'simultaneous_duplicates'],
    changes: { js: [[INSERT, INSERT_AGAIN]], python: [[INSERT, INSERT_AGAIN]], php: [[INSERT, INSERT_AGAIN]] },
  },
  {
    name: 'ignores the order',
    found: ['out_of_order'],
    changes: { js: [[LATER, LATER_NEVER]], python: [[LATER, LATER_NEVER]], php: [[LATER, LATER_NEVER]] },
  },
  {
    name: 'fails for a type that it does not know',
    found: ['unknown_type'],
    changes: {
      js: [
        [
          "if (!type.startsWith('payment.')) return",
          "if (!type.startsWith('payment.') && type !== 'webhook.check') throw new Error(type)",
        ],
      ],
      python: [
        ['        return  # A check', '        assert event["type"] == "webhook.check"  # A check'],
        ['    data = event["data"]\n', '        return\n    data = event["data"]\n'],
      ],
      php: [
        [
          "if (!str_starts_with($event['type'], 'payment.')) return;",
          "if ($event['type'] === 'webhook.check') return; if (!str_starts_with($event['type'], 'payment.')) throw new Exception();",
        ],
      ],
    },
  },
  {
    name: 'has too small a limit for bodies',
    found: ['large_body'],
    changes: {
      js: [[MIDDLEWARE, 'webhookMiddleware({ secrets, bodyBytesMax: 100_000 })']],
      python: [['BODY_BYTES_MAX = 1024 * 1024', 'BODY_BYTES_MAX = 100 * 1024']],
      php: [['BODY_BYTES_MAX = 1024 * 1024', 'BODY_BYTES_MAX = 100 * 1024']],
    },
  },
  {
    name: 'refuses everything',
    found: ['valid'],
    changes: {
      js: [[MIDDLEWARE, '(_req, res) => res.sendStatus(400)']],
      python: [['if event is None:', 'if True:']],
      php: [['$event = strlen($body) > BODY_BYTES_MAX ?', '$event = strlen($body) >= 0 ?']],
    },
  },
  {
    name: 'answers 200 to what it refuses',
    found: UNVERIFIED,
    changes: {
      js: [
        [
          MIDDLEWARE,
          `(req, res, next) => { res.writeHead = ((write) => (status, ...rest) => write.call(res, status === 400 ? 200 : status, ...rest))(res.writeHead); next() }, ${MIDDLEWARE}`,
        ],
      ],
      python: [['self.answer(400)', 'self.answer(200)']],
      php: [['? 400 : 204', '? 200 : 204']],
    },
  },
]
