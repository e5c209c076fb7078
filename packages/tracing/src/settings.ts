import { plainHttpUrl } from '@cashflow/runtime'
import * as z from 'zod'

/** The settings of each process that may be traced, as a zod shape. Their names are OpenTelemetry's. */
export const tracingEnv = {
  OTEL_EXPORTER_OTLP_ENDPOINT: plainHttpUrl.optional(),
  OTEL_EXPORTER_OTLP_HEADERS: z
    .string()
    .transform((text, context) => {
      const headers = readHeaders(text)
      if (headers) return headers
      context.addIssue('must be headers such as api-key=secret,tenant=one, with percent-encoded values')
      return z.NEVER
    })
    .optional(),
}

export interface TracingSettings {
  /** The URL that gets the spans. Undefined if nothing is traced. */
  readonly url: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

export function tracingSettings(env: z.output<z.ZodObject<typeof tracingEnv>>): TracingSettings {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers = {} } = env
  return { url: endpoint === undefined ? undefined : `${endpoint.replace(/\/+$/, '')}/v1/traces`, headers }
}

const NAME = /^[!#$%&'*+.^`|~\w-]+$/
const VALUE = /^[ -~]*$/

function readHeaders(text: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {}
  for (const part of text.split(',')) {
    if (part.trim() === '') continue
    const [name = '', ...rest] = part.split('=')
    const value = decoded(rest.join('=').trim())
    if (rest.length === 0 || !NAME.test(name.trim()) || value === undefined || !VALUE.test(value)) return undefined
    headers[name.trim()] = value
  }
  return headers
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined // The caller refuses it.
  }
}
