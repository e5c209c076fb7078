import { type ParseArgsConfig, parseArgs } from 'node:util'
import { StartError } from './start-error.ts'

export class UsageError extends StartError {
  override readonly code = 'usage'
}

/** @throws UsageError with the reason and the help text, such as for an unknown option */
export function parseCommandLine<Config extends ParseArgsConfig>(
  config: Config,
  help: string,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${help}`)
  }
}

interface NumberRange {
  min: number
  max: number
  /** Allows decimal fractions. Default: false. */
  fractions?: boolean
}

/** @throws UsageError when the value of the option is no number of the range */
export function parseNumber(option: string, value: string, { min, max, fractions = false }: NumberRange): number {
  const number = (fractions ? /^\d+(\.\d+)?$/ : /^\d+$/).test(value) ? Number(value) : Number.NaN
  if (number >= min && number <= max) return number
  throw new UsageError(`${option} must be a number from ${min} to ${max}, not ${value}`)
}
