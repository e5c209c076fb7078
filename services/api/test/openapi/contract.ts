import { defined } from '@cashflow/async'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { expect } from 'chai'
import document from '../../src/openapi/openapi.json' with { type: 'json' }
import { SECURITY_HEADERS } from '../../src/security-headers.ts'
import type { Answer } from '../raw-request.ts'

// biome-ignore lint/suspicious/noExplicitAny: nodes of the document are of any shape.
export type Node = any

export interface Operation {
  operationId: string
  method: string
  /** The path with its server's, such as `/api/v1/payments/{id}`. */
  path: string
  isPublic: boolean
  node: Node
}

const STRICT = withoutUnknownMembers(structuredClone(document))

/** The document's schemas with every member of an answer listed: the document itself lets answers grow. */
function withoutUnknownMembers(node: Node): Node {
  if (typeof node !== 'object' || node === null) return node
  for (const child of Object.values(node)) withoutUnknownMembers(child)
  if (node.type === 'object' && node.properties) node.additionalProperties ??= false
  return node
}

export function resolve(node: Node): Node {
  if (node?.$ref === undefined) return node
  const names = (node.$ref as string).slice(2).split('/')
  return resolve(names.reduce((parent: Node, name) => parent[decodeURIComponent(name).replaceAll('~1', '/')], STRICT))
}

/** The operations of the document. */
export const OPERATIONS: readonly Operation[] = Object.entries(STRICT.paths as Node).flatMap(
  ([path, item]: [string, Node]) => {
    const [server] = item.servers ?? STRICT.servers
    const { servers: _servers, ...methods } = item
    return Object.entries(methods).map(([method, node]: [string, Node]) => ({
      operationId: node.operationId,
      method: method.toUpperCase(),
      path: server.url === '/' ? path : server.url + path,
      isPublic: node.security.length === 0,
      node,
    }))
  },
)

export const operationOf = (id: string): Operation =>
  defined(
    OPERATIONS.find(({ operationId }) => operationId === id),
    `operation ${id}`,
  )

const ajv = new Ajv2020({ strict: false, allErrors: false })
formats.default(ajv)
ajv.addSchema(STRICT, 'api')
const validators = new Map<Node, ValidateFunction>()

/** Whether a value fits a schema of the document. */
export function errorsOf(schema: Node, value: unknown): string {
  const validate = validators.get(schema) ?? ajv.compile(rooted(schema))
  validators.set(schema, validate)
  return validate(value) ? '' : ajv.errorsText(validate.errors)
}

/** A schema whose references lead into the document. */
function rooted(schema: Node): Node {
  const text = JSON.stringify(schema, (name, value) => (name === '$ref' ? `api${value}` : value))
  return JSON.parse(text)
}

/** The codes of the problems that an operation may answer with a status. */
export function codesOf(response: Node): string[] {
  const schema = resolve(resolve(response).content?.['application/problem+json']?.schema)
  if (!schema) return []
  return (schema.oneOf ?? [schema]).map((one: Node) => resolve(one).properties.code.const)
}

/** Headers of the connection, and those that the API adds to every answer. The document does not list them. */
const ANYWHERE = new Set([
  ...['connection', 'content-length', 'content-type', 'date', 'keep-alive', 'transfer-encoding'],
  ...SECURITY_HEADERS.split('\r\n').map((line) => line.slice(0, line.indexOf(':')).toLowerCase()),
])

/** Expects an answer that the document describes: its status, each of its headers, and its body. */
export function expectDocumented({ node, operationId }: Operation, answer: Answer, { isHead = false } = {}): void {
  const { status, headers, text } = answer
  const where = `${operationId} ${status}`
  const response = resolve(node.responses[status])
  expect(response, `${where} is in the document: ${text.slice(0, 300)}`).to.not.equal(undefined)
  const documented = Object.entries(response.headers as Node)
  for (const [name, given] of documented) {
    const { required = false, schema } = resolve(given)
    const value = headers[name.toLowerCase()]
    if (value === undefined) expect(required, `${where} has the header ${name}`).to.equal(false)
    else expect(errorsOf(schema, value), `${where} has ${name}: ${value}`).to.equal('')
  }
  const known = new Set([...ANYWHERE, ...documented.map(([name]) => name.toLowerCase())])
  expect(
    Object.keys(headers).filter((name) => !known.has(name)),
    `${where}: headers not in the document`,
  ).to.be.empty
  if (isHead || response.content === undefined) return void expect(text, where).to.equal('')
  const [type = ''] = headers['content-type']?.split(';') ?? []
  const media = response.content[type]
  expect(media, `${where} may have the type ${type}`).to.not.equal(undefined)
  expect(errorsOf(media.schema, answer.body ?? text), `${where}: ${text.slice(0, 500)}`).to.equal('')
}
