import fc from 'fast-check'
import { headerLines } from './fuzzed-headers.ts'

export interface RawRequest {
  bytes: Buffer
  body: Buffer
}

const AMOUNTS = [
  '0',
  '-0',
  '1',
  '0.01',
  '0.001',
  '1e2',
  '1E-2',
  '1e400',
  '-1',
  '1.10',
  '9999999999999.99',
  '10000000000000',
]

const amount = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 999_999_999_999_999 }).map((minor) => (minor / 100).toFixed(2)) },
  fc
    .tuple(fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.nat({ max: 30 }))
    .map(([n, zeros]) => `${n}.${'0'.repeat(zeros)}1`),
  fc.constantFrom(...AMOUNTS),
  fc.double().map(String),
  fc.oneof(fc.constantFrom(...AMOUNTS), fc.string()).map((text) => JSON.stringify(text)),
  fc.json(),
)
const currency = fc.oneof({ weight: 6, arbitrary: fc.constantFrom('"USD"', '"ETB"') }, fc.json())
const reference = fc.oneof(
  { weight: 4, arbitrary: fc.uuid().map((id) => JSON.stringify(id)) },
  {
    weight: 4,
    arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }).map((text) => JSON.stringify(text)),
  },
  fc.string({ minLength: 0, maxLength: 3 }).map((text) => JSON.stringify(text)),
  fc.constantFrom('"\\u0000"', '"\\ud800"', '"\\u007f"', '""'),
  fc.json(),
)
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 50 }),
  fc.constantFrom('', '__proto__', '\ud800', '10', 'a:b'),
)
const metadata = fc.oneof(
  { weight: 8, arbitrary: fc.constant('') },
  {
    weight: 3,
    arbitrary: fc.array(fc.tuple(text, text), { maxLength: 8 }).map((pairs) => {
      const members = pairs.map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      return `, "metadata": {${members.join(', ')}}`
    }),
  },
  fc.json().map((value) => `, "metadata": ${value}`),
)
const likeAPayment = fc
  .tuple(amount, currency, reference, metadata)
  .map(([money, unit, name, pairs]) => `{"amount": ${money}, "currency": ${unit}, "reference": ${name}${pairs}}`)

const nested = fc
  .tuple(fc.nat({ max: 8_000 }), fc.constantFrom('[', '{"a":'))
  .map(([depth, open]) => open.repeat(depth))

const body = fc.oneof(
  { weight: 6, arbitrary: likeAPayment.map((text) => Buffer.from(text)) },
  fc.tuple(likeAPayment, fc.json()).map(([text, more]) => Buffer.from(`${text.slice(0, -1)}, "more": ${more}}`)),
  fc.json({ maxDepth: 8 }).map((text) => Buffer.from(text)),
  nested.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  fc.nat({ max: 400_000 }).map((size) => Buffer.alloc(size, ' ')),
  // A payment with one changed byte.
  fc.tuple(likeAPayment, fc.nat(), fc.nat({ max: 255 })).map(([text, at, byte]) => {
    const bytes = Buffer.from(text)
    bytes[at % bytes.length] = byte
    return bytes
  }),
)

const method = fc.oneof(
  { weight: 8, arbitrary: fc.constant('POST') },
  { weight: 3, arbitrary: fc.constant('GET') },
  { weight: 3, arbitrary: fc.constantFrom('HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE') },
  fc.string({ minLength: 1, maxLength: 8 }),
)
const parameterName = fc.constantFrom(
  ...['reference', 'idempotency_key', 'status', 'currency', 'created_from', 'created_to', 'limit', 'cursor', 'x'],
)
const parameterValue = fc.oneof(
  fc.constantFrom('USD', 'PENDING', '1', '100', '2026-11-22T01:37:08.058Z', '0001-01-01T00:00:00-23:59', '', 'AQ'),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
)
/** A list with parameters, valid and not. */
const listPath = fc
  .array(fc.tuple(parameterName, parameterValue), { maxLength: 3 })
  .map((parameters) => `/payments?${new URLSearchParams(parameters)}`)

const path = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('/payments', '/api/v1/payments') },
  { weight: 2, arbitrary: fc.constant('/health') },
  fc.constantFrom('/payments/', '//payments', '/payments/%', '/payments?x=1', '*', '/', 'http://x/payments'),
  listPath,
  fc.uuid().map((id) => `/payments/${id}`),
  fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => `/payments/${encodeURIComponent(text.toWellFormed())}`),
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => `/${text}`),
)
const contentType = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom('application/json', 'application/json; charset=UTF-8') },
  fc.constantFrom('text/plain', 'application/json; charset=latin1', '', 'application/jsonp'),
)

export interface RequestParts {
  method: string
  path: string
  /** Headers that almost every request has: host and key. */
  first: readonly string[]
  contentType: string
  headers: readonly Buffer[]
  body: Buffer
}

const CRLF = Buffer.from('\r\n')
const HOST = 'Host: x'

/** A request on a connection of its own. */
export function requestOf({ method, path, first, contentType, headers, body }: RequestParts): RawRequest {
  const start = [`${method} ${path} HTTP/1.1`, ...first, `Content-Type: ${contentType}`]
  const last = ['Connection: close', `Content-Length: ${body.length}`]
  const lines = [...start, ...headers, ...last].flatMap((line) => [Buffer.from(line), CRLF])
  return { bytes: Buffer.concat([...lines, CRLF, body]), body }
}

const request = (key: string) =>
  fc
    .record({
      method,
      path,
      first: fc.oneof({ weight: 6, arbitrary: fc.constant([HOST, key]) }, fc.constantFrom([key], [HOST])),
      contentType,
      headers: headerLines,
      body,
    })
    .map(requestOf)

/** A valid payment, so that its headers decide about its answer. */
const payment = (key: string) =>
  fc
    .record({
      method: fc.constant('POST'),
      path: fc.constant('/payments'),
      first: fc.constant([HOST, key]),
      contentType: fc.constant('application/json'),
      headers: headerLines,
      body: fc.uuid().map((id) => Buffer.from(`{"amount": "7.5", "currency": "ETB", "reference": "${id}"}`)),
    })
    .map(requestOf)

const noise = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes): RawRequest => {
  return { bytes: Buffer.concat([bytes, CRLF, CRLF]), body: Buffer.alloc(0) }
})

/** Any request, from a valid payment to bytes that are not HTTP. Most of them have the API key `text`. */
export function requestsWith(text: string): fc.Arbitrary<RawRequest> {
  const key = `Authorization: Bearer ${text}`
  return fc.oneof({ weight: 30, arbitrary: request(key) }, { weight: 15, arbitrary: payment(key) }, noise)
}

/** The members of a sent body. The amount is a double. Tests compare it with the exact amount in the database. */
export function bodyOf({ body }: RawRequest) {
  const { amount, currency, reference, metadata = {} } = JSON.parse(body.toString())
  return { amount: Number(amount), currency, reference, metadata }
}
