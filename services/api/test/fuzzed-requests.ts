import fc from 'fast-check'

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
const likeAPayment = fc
  .tuple(amount, currency, reference)
  .map(([money, unit, name]) => `{"amount": ${money}, "currency": ${unit}, "reference": ${name}}`)

const nested = fc
  .tuple(fc.nat({ max: 8_000 }), fc.constantFrom('[', '{"a":'))
  .map(([depth, open]) => open.repeat(depth))

const body = fc.oneof(
  { weight: 6, arbitrary: likeAPayment.map((text) => Buffer.from(text)) },
  fc.tuple(likeAPayment, fc.json()).map(([text, more]) => Buffer.from(`${text.slice(0, -1)}, "more": ${more}}`)),
  fc.json({ maxDepth: 8 }).map((text) => Buffer.from(text)),
  nested.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  fc.nat({ max: 40_000 }).map((size) => Buffer.alloc(size, ' ')),
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
const path = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('/payments', '/api/v1/payments') },
  { weight: 2, arbitrary: fc.constant('/health') },
  fc.constantFrom('/payments/', '//payments', '/payments/%', '/payments?x=1', '*', '/', 'http://x/payments'),
  fc.uuid().map((id) => `/payments/${id}`),
  fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => `/payments/${encodeURIComponent(text.toWellFormed())}`),
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => `/${text}`),
)
const header: fc.Arbitrary<[string, string]> = fc.oneof(
  fc.tuple(fc.constantFrom('Request-Id', 'Accept', 'X', 'Expect', 'Content-Encoding'), fc.string({ maxLength: 200 })),
  fc.tuple(fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 60 })),
  fc.tuple(fc.constant('X'), fc.constant('x'.repeat(20_000))),
)
const headers = fc.oneof(
  { weight: 8, arbitrary: fc.constant<[string, string][]>([]) },
  { weight: 2, arbitrary: fc.array(header, { maxLength: 3 }) },
)
const contentType = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom('application/json', 'application/json; charset=UTF-8') },
  fc.constantFrom('text/plain', 'application/json; charset=latin1', '', 'application/jsonp'),
)

const request = fc
  .record({
    method,
    path,
    headers,
    contentType,
    body,
    host: fc.constantFrom('Host: x\r\n', 'Host: x\r\n', 'Host: x\r\n', ''),
  })
  .map(({ body, ...parts }): RawRequest => {
    const more = parts.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const head = `${parts.method} ${parts.path} HTTP/1.1\r\n${parts.host}Content-Type: ${parts.contentType}\r\n${more}`
    const end = `Connection: close\r\nContent-Length: ${body.length}\r\n\r\n`
    return { bytes: Buffer.concat([Buffer.from(head), Buffer.from(end), body]), body }
  })

/** Any request, from a valid payment to bytes that are not HTTP. */
export const anyRequest = fc.oneof(
  { weight: 30, arbitrary: request },
  fc.uint8Array({ minLength: 1, maxLength: 200 }).map((noise): RawRequest => {
    const bytes = Buffer.concat([Buffer.from(noise), Buffer.from('\r\n\r\n')])
    return { bytes, body: Buffer.alloc(0) }
  }),
)

/** The members of a sent body. The amount is a double. Tests compare it with the exact amount in the database. */
export function bodyOf({ body }: RawRequest): { amount: number; currency: string; reference: string } {
  const { amount, currency, reference } = JSON.parse(body.toString())
  return { amount: Number(amount), currency, reference }
}
