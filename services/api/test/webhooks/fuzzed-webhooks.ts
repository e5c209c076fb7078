import fc from 'fast-check'
import { headerLines } from '../fuzzed-headers.ts'
import { type RawRequest, requestOf } from '../fuzzed-requests.ts'

/** What exists, of the merchant whose key it is and of another one. */
export interface Known {
  readonly key: string
  readonly endpointIds: readonly string[]
  readonly eventIds: readonly string[]
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom(
    '',
    '__proto__',
    '\0',
    '\ud800',
    '10',
    'null',
    '../',
    '%00',
    '%2e%2e%2f',
    "'; drop table webhook_endpoints; --",
  ),
)
const host = fc.oneof(
  fc.domain(),
  fc.ipV4(),
  fc.ipV4Extended(),
  fc.ipV6().map((ip) => `[${ip}]`),
  fc.constantFrom(
    'localhost',
    '169.254.169.254',
    '[::ffff:7f00:1]',
    '2130706433',
    '①②⑦.0.0.1',
    'x%00y',
    'a..b',
    '[fe80::1%25eth0]',
  ),
)
const url = fc.oneof(
  { weight: 4, arbitrary: fc.constant('https://hooks.example.com/cashflow') },
  fc
    .tuple(
      fc.constantFrom('https', 'http', 'HTTPS', 'ftp', 'file', 'javascript'),
      fc.constantFrom('', 'a:b@', '@'),
      host,
      text,
    )
    .map(([scheme, user, name, rest]) => `${scheme}://${user}${name}/${rest}`),
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
  text,
)
const types = fc.oneof(
  fc.subarray(['payment.created', 'payment.succeeded', 'payment.failed', 'payment.canceled']),
  fc.array(text, { maxLength: 4 }),
  fc.constant(null),
)
const anything = fc.jsonValue()
const nearly = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 6, arbitrary: value as fc.Arbitrary<unknown> }, anything)

const anId = (known: readonly string[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...known) }, fc.uuid(), text)
const time = fc.date({ noInvalidDate: true }).map((date) => date.toISOString())

function bodies({ endpointIds, eventIds }: Known): fc.Arbitrary<Buffer> {
  const members = {
    url: nearly(url),
    description: nearly(text),
    types: nearly(types),
    ordering: nearly(fc.constantFrom('payment', 'none')),
    enabled: nearly(fc.boolean()),
    overlap_s: nearly(fc.oneof(fc.integer(), fc.constantFrom(0, 604_800, 604_801, 1e300, -0))),
    after: nearly(fc.oneof(anId(eventIds), time)),
    endpoint_id: nearly(anId(endpointIds)),
  }
  const of = (...names: (keyof typeof members)[]) =>
    fc.record(Object.fromEntries(names.map((name) => [name, members[name]])), { requiredKeys: [] })
  return fc
    .oneof(
      { weight: 4, arbitrary: of('url', 'description', 'types', 'ordering') },
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          {},
          { url: 'https://hooks.example.com/' },
          { url: 'https://169.254.169.254/' },
          { after: '2026-01-01T00:00:00Z' },
        ),
      },
      { weight: 3, arbitrary: of('enabled', 'types', 'description') },
      { weight: 2, arbitrary: of('overlap_s') },
      { weight: 2, arbitrary: of('after', 'types') },
      { weight: 2, arbitrary: of('endpoint_id') },
      of('url', 'enabled', 'overlap_s', 'after', 'endpoint_id'),
      anything,
    )
    .chain((value) =>
      fc.oneof(
        { weight: 12, arbitrary: fc.constant(Buffer.from(JSON.stringify(value))) },
        fc.constant(Buffer.alloc(0)),
        fc.nat({ max: 255 }).map((byte) => Buffer.concat([Buffer.from(JSON.stringify(value)), Buffer.of(byte)])),
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      ),
    )
}

/** A method and a path. */
type Line = readonly [method: string, path: string]

function lines({ endpointIds, eventIds }: Known): fc.Arbitrary<Line> {
  const encoded = (ids: readonly string[]) =>
    anId(ids).chain((id) =>
      fc.constantFrom(...[id, id, id, id.toUpperCase()].map((text) => encodeURIComponent(text.toWellFormed()))),
    )
  const line = (methods: readonly string[], ...parts: fc.Arbitrary<string>[]): fc.Arbitrary<Line> =>
    fc.tuple(
      fc.constantFrom(...methods),
      fc.tuple(...parts).map((texts) => texts.join('')),
    )
  const fixed = (path: string) => fc.constant(path)
  const parameters = fc
    .array(
      fc.tuple(
        fc.constantFrom('endpoint', 'event', 'status', 'limit', 'cursor', 'x'),
        fc.oneof(fc.constantFrom(...endpointIds, ...eventIds, 'pending', 'waiting', '1', '0', '101', 'AQ'), text),
      ),
      { maxLength: 3 },
    )
    .map((pairs) => new URLSearchParams(pairs.map(([name, value]): [string, string] => [name, value.toWellFormed()])))
    .map(String)
  const [endpoint, event] = [encoded(endpointIds), encoded(eventIds)]
  return fc.oneof(
    { weight: 4, arbitrary: line(['POST'], fixed('/webhook-endpoints')) },
    {
      weight: 4,
      arbitrary: line(['PATCH', 'PATCH', 'GET'], fixed('/webhook-endpoints/'), endpoint),
    },
    {
      weight: 4,
      arbitrary: line(
        ['POST'],
        fixed('/webhook-endpoints/'),
        endpoint,
        fc.constantFrom('/rotate-secret', '/replay', '/check', '/ping'),
      ),
    },
    { weight: 2, arbitrary: line(['GET'], fc.constantFrom('/webhook-endpoints?', '/webhook-deliveries?'), parameters) },
    { weight: 2, arbitrary: line(['POST'], fixed('/events/'), event, fixed('/redeliver')) },
    { weight: 2, arbitrary: line(['GET'], fixed('/events/'), event, fixed('/deliveries')) },
    line(
      METHODS,
      fc.constantFrom('/webhook-endpoints/', '/events/'),
      endpoint,
      fc.constantFrom('', '/', '/x', '/replay', '/redeliver', '/checks/', '/checks/x', '/checks/%00'),
    ),
  )
}

const METHODS = ['GET', 'POST', 'PATCH', 'DELETE', 'PUT', 'HEAD', 'OPTIONS']

/** Requests to the routes of webhooks, from valid ones to bytes that are no JSON. Most of them have the key. */
export function webhookRequests(known: Known): fc.Arbitrary<RawRequest> {
  const key = `Authorization: Bearer ${known.key}`
  return fc
    .record({
      line: lines(known),
      version: fc.constantFrom('', '/api/v1'),
      first: fc.oneof({ weight: 12, arbitrary: fc.constant(['Host: x', key]) }, fc.constantFrom([key], ['Host: x'])),
      contentType: fc.oneof(
        { weight: 12, arbitrary: fc.constant('application/json') },
        fc.constantFrom('text/plain', '', 'application/json; charset=latin1'),
      ),
      headers: fc.oneof({ weight: 6, arbitrary: fc.constant([]) }, headerLines),
      body: bodies(known),
    })
    .map(({ line: [method, path], version, ...parts }) => requestOf({ ...parts, method, path: version + path }))
}
