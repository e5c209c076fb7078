import type { Request } from 'express'
import * as z from 'zod'
import { type ParameterError, validationProblem } from './problem.ts'

const NAME_MAX = 64
const LIMIT_DEFAULT = 20
const LIMIT_MAX = 100

/** The parameter `limit` of every list: rows that a page has at most. */
export const pageLimit = z
  .string()
  .regex(/^([1-9]\d?|100)$/, 'must be a whole number from 1 to 100')
  .transform(Number)
  .default(LIMIT_DEFAULT)
  .meta({
    description: 'How many a page has at most.',
    override: ({ jsonSchema }) => {
      delete jsonSchema.pattern
      Object.assign(jsonSchema, {
        type: 'integer',
        format: 'int32',
        minimum: 1,
        maximum: LIMIT_MAX,
        default: LIMIT_DEFAULT,
      })
    },
  })

/** The parameter for the `next_cursor` of an earlier answer. */
export const pageCursor = z
  .string()
  .optional()
  .meta({
    description: 'The `next_cursor` of an earlier answer to the same filters. It never expires.',
    override: { maxLength: 512, pattern: '^[A-Za-z0-9_-]+$' },
  })

/**
 * Reads the query of a request. Each parameter occurs at most once.
 *
 * @throws Problem that names every parameter that is unknown, repeated or not valid
 */
export function readQuery<Schema extends z.ZodObject>(req: Request, schema: Schema): z.output<Schema> {
  const start = req.url.indexOf('?')
  const given = new URLSearchParams(start < 0 ? '' : req.url.slice(start))
  const names = [...new Set(given.keys())]
  const wrong = names.flatMap((name) => {
    if (!Object.hasOwn(schema.shape, name)) return [parameterError(name, 'is not a parameter of this path')]
    return given.getAll(name).length > 1 ? [parameterError(name, 'occurs more than once')] : []
  })
  const result = schema.safeParse(Object.fromEntries(given))
  if (result.success && wrong.length === 0) return result.data
  const invalid = (result.error?.issues ?? []).map(({ path, message }) => parameterError(String(path[0]), message))
  throw validationProblem([...wrong, ...invalid])
}

/** An error of a parameter. A long name would fill the answer, and a reader would not see an empty one. */
function parameterError(name: string, detail: string): ParameterError {
  const shown = name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX).toWellFormed()}…`
  return { parameter: shown || '""', detail }
}
