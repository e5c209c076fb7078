import fc from 'fast-check'
import { errorsOf, type Node, resolve } from './contract.ts'

const isValid = (schema: Node) => (value: unknown) => errorsOf(schema, value) === ''

/**
 * Values that a schema of the document allows. Texts that only a pattern with classes of Unicode describes are ASCII: what
 * such a pattern cannot say, such as which characters are visible, is said in its description.
 */
export function validOf(given: Node): fc.Arbitrary<unknown> {
  const schema = resolve(given)
  const options = schema.anyOf ?? schema.oneOf
  if (options) return fc.oneof(...options.map(validOf))
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  switch (schema.type) {
    case 'string':
      return textOf(schema).filter(isValid(schema))
    case 'number':
    case 'integer':
      return numberOf(schema)
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.uniqueArray(validOf(schema.items), { minLength: schema.minItems ?? 0, maxLength: schema.maxItems })
    case 'object':
      return objectOf(schema)
    default:
      throw new Error(`No values are made for the type ${schema.type}`)
  }
}

function textOf({ format, pattern, minLength = 0, maxLength }: Node): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.uuid()
  if (format === 'date-time')
    return fc
      .date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true })
      .map((date) => date.toISOString())
  const length = { minLength, maxLength: Math.min(maxLength, 600) }
  if (pattern === undefined || /\\p|\\x00|\\s\\S/i.test(pattern))
    return fc.oneof(fc.string(length), fc.string({ unit: 'grapheme', ...length }))
  return fc.stringMatching(new RegExp(pattern, 'u'), { size: 'medium' })
}

/** Numbers with as many decimals as the smallest one has: an amount has no more. */
function numberOf({ minimum, maximum }: Node): fc.Arbitrary<number> {
  const decimals = String(minimum).split('.')[1]?.length ?? 0
  const [min, max] = [minimum, maximum].map((limit) => Math.round(limit * 10 ** decimals)) as [number, number]
  return fc
    .oneof(fc.integer({ min, max }), fc.constantFrom(min, min + 1, max - 1, max))
    .map((units) => Number(`${units}e-${decimals}`))
}

function objectOf({
  properties,
  required = [],
  additionalProperties,
  propertyNames,
  maxProperties,
}: Node): fc.Arbitrary<object> {
  if (!properties)
    return fc.dictionary(validOf(propertyNames) as fc.Arbitrary<string>, validOf(additionalProperties), {
      maxKeys: maxProperties,
      noNullPrototype: true,
    })
  const members = Object.entries(properties).map(([name, schema]) => [name, validOf(schema)])
  return fc.record(Object.fromEntries(members), { requiredKeys: required, noNullPrototype: true })
}

const ANYTHING = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    'x'.repeat(700),
    -1,
    0,
    0.001,
    1e300,
    [],
    {},
    '0',
    '0.001',
    '\0',
    '2026-13-01T00:00:00Z',
  ),
  fc.string({ unit: 'binary' }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.jsonValue(),
)

/** Values next to those that a schema allows: just out of range, too long, or with something more. */
function nextTo(schema: Node): fc.Arbitrary<unknown> {
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(nextTo))
  const { minimum, maximum, maxLength, type } = schema
  if (minimum !== undefined) return fc.constantFrom(minimum - 1, maximum + 1, 10 * maximum, minimum / 10)
  if (type !== 'string' || schema.enum) return ANYTHING
  return fc.oneof(
    fc.constant('x'.repeat(Math.min(maxLength, 1_000) + 1)),
    validOf(schema).chain((text) => fc.string({ minLength: 1, maxLength: 3 }).map((more) => text + more)),
  )
}

/** Values that a schema of the document forbids: of another type, or nearly right. */
export function invalidOf(given: Node): fc.Arbitrary<unknown> {
  const schema = resolve(given)
  const isInvalid = (value: unknown) => !isValid(schema)(value)
  if (!schema.properties) return fc.oneof(ANYTHING, nextTo(schema)).filter(isInvalid)
  return validOf(schema)
    .chain((valid) => fc.oneof({ weight: 8, arbitrary: mutationsOf(schema, valid as object) }, ANYTHING))
    .filter(isInvalid)
}

/** A valid object with one change: a member that is missing, forbidden or unknown. */
function mutationsOf({ properties }: Node, valid: object): fc.Arbitrary<object> {
  const names = Object.keys(properties)
  return fc.oneof(
    fc
      .constantFrom(...names)
      .map((name) => Object.fromEntries(Object.entries(valid).filter(([other]) => other !== name))),
    {
      weight: 6,
      arbitrary: fc
        .constantFrom(...names)
        .chain((name) => invalidOf(properties[name]).map((value) => ({ ...valid, [name]: value }))),
    },
    fc.tuple(fc.string(), ANYTHING).map(([name, value]) => ({ ...valid, [name]: value })),
  )
}
