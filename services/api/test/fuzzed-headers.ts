import fc from 'fast-check'

type Bytes = Buffer<ArrayBuffer>

/** A line of a request's head, without its end. */
export type HeaderLine = Bytes

const text = (value: string): Bytes => Buffer.from(value, 'utf8')
const joined = (...parts: fc.Arbitrary<Bytes>[]) => fc.tuple(...parts).map((bytes) => Buffer.concat(bytes))

// Bytes that end no line, so that a header cannot begin another request.
const byte = fc.nat({ max: 255 }).filter((code) => code !== 10 && code !== 13)
const junk = (maxLength: number) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(text('')) },
    fc.array(byte, { maxLength }).map((codes) => Buffer.from(codes)),
    fc
      .constantFrom(' ', '\t', '\0', '"', '\\', ',', ';', '=', '%00', '\u00e9', '\ufeff', '\u2028', ' ,', '""')
      .map(text),
  )
/** A value in the middle of junk, so that some are right and most are nearly right. */
const nearly = (value: fc.Arbitrary<string>) => joined(junk(12), value.map(text), junk(12))

const base62 = (length: number) =>
  fc.string({
    unit: fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'),
    minLength: length,
    maxLength: length,
  })
const keyText = fc
  .tuple(fc.constantFrom('cf_test_', 'cf_live_', 'cf_', '', 'sk_'), base62(13), fc.constantFrom('_', ''), base62(39))
  .map((parts) => parts.join(''))
const authorization = fc
  .tuple(fc.constantFrom('Bearer', 'bearer', 'BEARER', 'Basic', 'Bearer:', ''), fc.constantFrom(' ', '  ', '\t', ''))
  .chain(([scheme, gap]) =>
    nearly(fc.oneof(keyText, fc.base64String({ maxLength: 60 })).map((key) => scheme + gap + key)),
  )

// The UUID makes each key new: a repeated one would replay an answer.
const idempotencyKey = fc
  .tuple(fc.uuid(), fc.constantFrom('', '"'), fc.constantFrom('', '"', '";a=1', '\\"', '\\x'), fc.nat({ max: 300 }))
  .chain(([id, open, close, length]) => nearly(fc.constant(`${open}${id.padEnd(length, 'k')}${close}`)))

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4Extended(),
  fc.ipV6().map((ip) => `[${ip}]:443`),
  fc.ipV4().map((ip) => `::ffff:${ip}`),
  fc.constantFrom('unknown', '_hidden', '999.1.1.1', '127.0.0.1', '::1', '1.2.3.4:80', '1.2.3.4/8', ':', '[', '-1'),
)
const forwardedFor = nearly(fc.array(address, { maxLength: 40 }).map((list) => list.join(', ')))

// No payment is settled here, so a longer wait would only take its time.
const preference = fc.oneof(
  fc.integer({ max: 0 }).map((wait) => `wait=${wait}`),
  fc.constantFrom(
    'respond-async',
    'return=minimal',
    'wait',
    'wait=',
    'wait="0"',
    'wait=0e9',
    'wait=0, wait=2',
    'a;b=c',
  ),
)

const VALUES: Readonly<Record<string, fc.Arbitrary<Bytes>>> = {
  Authorization: authorization,
  'Idempotency-Key': idempotencyKey,
  'X-Forwarded-For': forwardedFor,
  Prefer: nearly(preference),
  'Content-Type': nearly(fc.constantFrom('application/json', 'application/json; charset="utf-8"', 'text/json', '*/*')),
  Accept: nearly(fc.constantFrom('text/html', 'application/json', '*/*;q=0', 'text/html;q=x')),
  'Content-Encoding': nearly(fc.constantFrom('identity', 'gzip', 'br')),
  Expect: nearly(fc.constantFrom('wonders', '200-ok')),
  Host: nearly(fc.constantFrom('x', 'a:b:c', '[::1]:80', 'x/y')),
  'Request-Id': nearly(fc.uuid()),
}

/** Headers that say where a request ends. The request has one of its own. */
const FRAMING: Readonly<Record<string, fc.Arbitrary<Bytes>>> = {
  'Content-Length': fc.constantFrom('0', '-1', '1e3', '0x10', '+5', '', '99999999999999999999').map(text),
  'Transfer-Encoding': nearly(fc.constantFrom('chunked', 'gzip, chunked', 'identity', 'x')),
}

const value = fc.oneof(
  { weight: 12, arbitrary: fc.constant(undefined) },
  fc.array(byte, { maxLength: 200 }).map((codes) => Buffer.from(codes)),
  fc.constantFrom(9_000, 20_000).map((length) => Buffer.alloc(length, 'x')),
  fc.constant(text('a\r\n b')), // Folded over two lines, which RFC 9112 §5.2 forbids.
)

const header: fc.Arbitrary<HeaderLine[]> = fc
  .tuple(
    fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...Object.entries(VALUES)) },
      fc.constantFrom(...Object.entries(FRAMING)),
    ),
    value,
    fc.oneof({ weight: 20, arbitrary: fc.constantFrom(': ', ':', ':\t') }, fc.constantFrom(' : ', '')),
  )
  .chain(([[name, own], other, colon]) => {
    const line = (other === undefined ? own : fc.constant(other)).map((bytes) =>
      Buffer.concat([text(name + colon), bytes]),
    )
    return fc.oneof(
      { weight: 8, arbitrary: line.map((bytes) => [bytes]) },
      line.map((bytes) => [bytes, bytes]),
      fc.array(line, { minLength: 2, maxLength: 30 }),
    )
  })

const anyName = fc
  .tuple(fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 60 }))
  .map((parts) => [text(parts.join(': '))])

/** Lines for the head of a request: right, nearly right, repeated, huge, folded, or no headers at all. */
export const headerLines: fc.Arbitrary<readonly HeaderLine[]> = fc.oneof(
  { weight: 5, arbitrary: fc.constant([]) },
  { weight: 4, arbitrary: header },
  fc.array(fc.oneof({ weight: 4, arbitrary: header }, anyName), { maxLength: 4 }).map((lines) => lines.flat()),
)
