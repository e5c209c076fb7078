import fc from 'fast-check'
import { invalidOf, validOf } from './arbitraries.ts'
import { errorsOf, type Node, OPERATIONS, type Operation, resolve } from './contract.ts'
import type { Parts } from './requests.ts'

export interface FuzzedRequest {
  operationId: string
  parts: Parts
  /** What the document forbids in it, such as `body` or `query limit`. */
  forbidden: readonly string[]
}

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
      if (place === 'path') return { ...parts, id: encodeURIComponent(sent) }
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

function requestOf({ operationId }: Operation, given: readonly Given[]): FuzzedRequest {
  let parts: Parts = {}
  for (const [part, sent] of given) if (sent !== undefined) parts = part.put(parts, sent)
  const wrong = given.filter(([part, sent]) => sent !== undefined && part.isForbidden(sent))
  return { operationId, parts, forbidden: wrong.map(([{ name }]) => name) }
}

/** Requests of an operation: as the document allows them, with one part that it forbids, and with any number of them. */
function requestsTo(operation: Operation): fc.Arbitrary<FuzzedRequest> {
  const parts = partsOf(operation)
  const each = (choose: (part: Part) => fc.Arbitrary<Given>) =>
    fc.tuple(...parts.map((part) => choose(part))).map((given) => requestOf(operation, given))
  const valid = each(allowed)
  if (parts.length === 0) return valid
  return fc.oneof(
    valid,
    fc
      .oneof(...parts.map((part) => ({ weight: weightOf(part), arbitrary: fc.constant(part) })))
      .chain((wrong) => each((part) => (part === wrong ? forbidden : allowed)(part))),
    each((part) => fc.oneof(allowed(part), forbidden(part))),
  )
}

/** A body has many members that can be wrong. */
const weightOf = ({ name }: Part) => (name === 'body' ? 8 : 1)

export const FUZZED_REQUESTS: fc.Arbitrary<FuzzedRequest> = fc.oneof(
  ...OPERATIONS.map((operation) => ({
    weight: 1 + partsOf(operation).reduce((sum, part) => sum + weightOf(part), 0),
    arbitrary: requestsTo(operation),
  })),
)
