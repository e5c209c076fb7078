import * as z from 'zod'

/** For the API's document: the form of a time that the API reads. */
export const TIME_FORM =
  'An RFC 3339 time with an offset, in the years 0001 to 9999, with at most 6 decimals of a second.'

/**
 * The schema of a time. Its output is the same time in UTC with microseconds, as text.
 *
 * @param hint ends the message about a text that is no time
 */
export const rfc3339Time = (hint = '') =>
  z.iso
    .datetime({
      offset: true,
      error: `must be an RFC 3339 time with an offset, such as 2026-11-22T01:37:08.058Z${hint}`,
    })
    .refine((text) => !/\.\d{7}/.test(text), 'must have at most 6 decimals of a second')
    .transform(inUtc)
    .refine((utc) => /^(?!0000)\d{4}-/.test(utc), 'must be in the years 0001 to 9999')
    .meta({
      override: ({ jsonSchema }) => {
        jsonSchema.pattern = String(jsonSchema.pattern).replace('\\.\\d+', '\\.\\d{1,6}')
        jsonSchema.maxLength = '2026-11-22T01:37:08.123456+00:00'.length
      },
    })

/** The same time in UTC with microseconds. PostgreSQL knows neither each offset of RFC 3339 nor the year 0. */
function inUtc(text: string): string {
  const [, fraction = ''] = /\.(\d+)/.exec(text) ?? []
  const seconds = new Date(text.replace(/\.\d+/, '')).toISOString().slice(0, -'.000Z'.length)
  return `${seconds}.${fraction.padEnd(6, '0')}Z`
}
