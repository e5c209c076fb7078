import fc from 'fast-check'
import { BODY_BYTES_MAX } from '../../src/json-body.ts'
import { invalidOf, validOf } from './arbitraries.ts'
import { codesOf, errorsOf, type Node, OPERATIONS, type Operation, resolve } from './contract.ts'
import type { KnownRequests } from './known-requests.ts'
import type { Parts } from './requests.ts'

export interface FuzzedRequest {
  operationId: string
  parts: Parts
  /** What the document forbids in it, such as `body` or `query limit`. */
  forbidden: readonly string[]
  /** Whose key it has: one that may do it, one with another scope, or none. */
  sender: 'merchant' | 'other scope' | 'no key'
  /** What the document forbids in no part of it. */
  oddity: Oddity | undefined
}

export type Oddity = 'content type' | 'large body' | 'large head' | 'unknown parameter'

/** A part of a request, with its schema in the document. */
interface Part {
  name: string
  schema: Node
  isRequired: boolean
  /** The value as it is sent. Undefined if it cannot be sent here. */
  sent(value: unknown): string | undefined
  isForbidden(sent: string): boolean
  put(parts: Parts, sent: string): Parts
}

const HEADER_VALUE = /^[!-~](?:[ -~]*[!-~])?$/

function parameterOf({ in: place, name, schema, required = false }: Node): Part {
  return {
    name: `${place} ${name}`,
    schema,
    isRequired: required,
    sent(value) {
      const text = (typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed()
      // Without an id it would be another path.
      if (place === 'path' && text === '') return undefined
      return place === 'header' && !HEADER_VALUE.test(text) ? undefined : text
    },
    isForbidden(sent) {
      const isNumber = schema.type === 'integer' && String(Number(sent)) === sent
      return errorsOf(schema, isNumber ? Number(sent) : sent) !== ''
    },
    put(parts, sent) {
      if (place === 'path') return { ...parts, [name]: encodeURIComponent(sent) }
      if (place === 'header') return { ...parts, headers: { ...parts.headers, [name]: sent } }
      return { ...parts, query: `${parts.query ? `${parts.query}&` : '?'}${new URLSearchParams({ [name]: sent })}` }
    },
  }
}

function partsOf({ node }: Operation): Part[] {
  const parameters: Part[] = (node.parameters ?? []).map(resolve).map(parameterOf)
  if (!node.requestBody) return parameters
  const { schema } = node.requestBody.content['application/json']
  const body: Part = {
    name: 'body',
    schema,
    isRequired: true,
    sent: (value) => JSON.stringify(value),
    isForbidden: (sent) => errorsOf(schema, JSON.parse(sent)) !== '',
    put: (parts, sent) => ({ ...parts, body: sent }),
  }
  return [...parameters, body]
}

type Given = [part: Part, sent: string | undefined]

const allowed = (part: Part): fc.Arbitrary<Given> => {
  const sent = validOf(part.schema)
    .map(part.sent)
    .filter((text) => text !== undefined && !part.isForbidden(text))
  return (part.isRequired ? sent : fc.option(sent, { nil: undefined })).map((text) => [part, text])
}

const forbidden = (part: Part): fc.Arbitrary<Given> =>
  invalidOf(part.schema)
    .map(part.sent)
    .filter((text) => text !== undefined && part.isForbidden(text))
    .map((text) => [part, text])

function requestOf({ operationId }: Operation, given: readonly Given[]) {
  let parts: Parts = {}
  for (const [part, sent] of given) if (sent !== undefined) parts = part.put(parts, sent)
  const wrong = given.filter(([part, sent]) => sent !== undefined && part.isForbidden(sent))
  return { operationId, parts, forbidden: wrong.map(([{ name }]) => name) }
}

/**
 * Requests of an operation: as the document allows them, with one part that it forbids, with any number of them, those that
 * are known, and those with one other part. Some are sent by others, and some have an oddity.
 */
export function requestsTo(operation: Operation, known: KnownRequests): fc.Arbitrary<FuzzedRequest> {
  const requests = partsOf(operation).length === 0 ? fc.constant(requestOf(operation, [])) : partsTo(operation, known)
  return requests.chain((request) =>
    fc.oneof(
      { weight: 16, arbitrary: fc.constant({ ...request, sender: 'merchant', oddity: undefined } as const) },
      fc.constant({ ...request, sender: 'no key', oddity: undefined } as const),
      fc.constant({ ...request, sender: 'other scope', oddity: undefined } as const),
      odditiesOf(operation).map((oddity) => withOddity(request, oddity)),
    ),
  )
}

function partsTo(operation: Operation, known: KnownRequests) {
  const parts = partsOf(operation)
  const each = (choose: (part: Part) => fc.Arbitrary<Given>) =>
    fc.tuple(...parts.map((part) => choose(part))).map((given) => requestOf(operation, given))
  const any = fc.oneof(...parts.map((part) => ({ weight: weightOf(part), arbitrary: fc.constant(part) })))
  const requests = [
    each(allowed),
    any.chain((wrong) => each((part) => (part === wrong ? forbidden : allowed)(part))),
    each((part) => fc.oneof(allowed(part), forbidden(part))),
  ]
  for (const values of known[operation.operationId] ?? []) {
    const given = (part: Part) => fc.constant<Given>([part, values[part.name]])
    const other = any.chain((changed) =>
      each((part) => (part === changed ? fc.oneof(allowed(part), forbidden(part)) : given(part))),
    )
    requests.push(each(given), other)
  }
  return fc.oneof(...requests)
}

function odditiesOf({ node }: Operation): fc.Arbitrary<Oddity> {
  if (node.requestBody) return fc.constantFrom('large head', 'content type', 'large body')
  const isStrict = codesOf(node.responses[400]).includes('validation-error')
  return fc.constantFrom('large head', ...(isStrict ? (['unknown parameter'] as const) : []))
}

function withOddity({ parts, ...request }: ReturnType<typeof requestOf>, oddity: Oddity): FuzzedRequest {
  const { headers, query, body = '{}' } = parts
  const changed = {
    'large head': { headers: { ...headers, X: 'x'.repeat(20_000) } },
    'content type': { headers: { ...headers, 'Content-Type': 'text/plain' }, body },
    'unknown parameter': { query: `${query ? `${query}&` : '?'}unknown=1` },
    'large body': { body: body.padEnd(BODY_BYTES_MAX + 1) },
  }[oddity]
  return { ...request, parts: { ...parts, ...changed }, sender: 'merchant', oddity }
}

/** A body has many members that can be wrong. */
const weightOf = ({ name }: Part) => (name === 'body' ? 8 : 1)

export const fuzzedRequests = (known: KnownRequests): fc.Arbitrary<FuzzedRequest> =>
  fc.oneof(
    ...OPERATIONS.map((operation) => ({
      weight: 1 + partsOf(operation).reduce((sum, part) => sum + weightOf(part), 0),
      arbitrary: requestsTo(operation, known),
    })),
  )
