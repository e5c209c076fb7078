import { KEY_ID, KEY_SCOPES, type KeyScope } from '@cashflow/db'
import { isUuid, parseEventId, readReference } from '@cashflow/domain'
import { InvalidArgumentError } from '@commander-js/extra-typings'
import * as z from 'zod'

// Readers of arguments that several commands have. Each throws an InvalidArgumentError, which shows the usage.

const REASON_MAX = 1_000

export function reasonText(text: string): string {
  const reason = text.trim()
  if (reason === '') throw new InvalidArgumentError('The reason is empty.')
  if (reason.length > REASON_MAX) throw new InvalidArgumentError(`The reason is longer than ${REASON_MAX} characters.`)
  if (/\p{Cc}/u.test(reason)) throw new InvalidArgumentError('The reason has a control character, such as a new line.')
  return reason
}

/** @param what the thing that the id names, for the message */
export function uuidOf(what: string): (text: string) => string {
  return (text) => {
    if (!isUuid(text)) throw new InvalidArgumentError(`The id of a ${what} is a UUID.`)
    return text.toLowerCase()
  }
}

/** The name of a merchant or a key. What makes a reference readable makes a name readable. */
export function nameText(text: string): string {
  const name = readReference(text)
  if (!name.ok) throw new InvalidArgumentError(`A name ${name.refusal.detail}.`)
  return name.value
}

export function keyId(text: string): string {
  if (!KEY_ID.test(text))
    throw new InvalidArgumentError('The id of a key has 13 letters and digits: those after cf_test_ or cf_live_.')
  return text
}

export function scopeList(text: string): readonly KeyScope[] {
  const given = text.split(',').map((scope) => scope.trim())
  const unknown = given.filter((scope) => !(KEY_SCOPES as readonly string[]).includes(scope))
  if (unknown.length > 0) throw new InvalidArgumentError(`Scopes are ${KEY_SCOPES.join(' and ')}.`)
  return KEY_SCOPES.filter((scope) => given.includes(scope))
}

export const limitNumber = limitUpTo(1_000)

export function limitUpTo(max: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,10}$/.test(text) || Number(text) < 1 || Number(text) > max)
      throw new InvalidArgumentError(`A limit is a number from 1 to ${max}.`)
    return Number(text)
  }
}

/** @param what the thing that the id names, for the message */
export function numberedId(what: string): (text: string) => string {
  return (text) => {
    if (!/^[1-9]\d{0,17}$/.test(text))
      throw new InvalidArgumentError(`The id of ${what} is a number, as list prints it.`)
    return text
  }
}

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Reads a duration such as `90d`, `24h`, `30m` or `0s`, in milliseconds. */
export function durationMs({ minMs, maxMs }: { minMs: number; maxMs: number }): (text: string) => number {
  return (text) => {
    const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
    const ms = unit === undefined ? Number.NaN : Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS]
    if (!(ms >= minMs && ms <= maxMs))
      throw new InvalidArgumentError(
        `A duration is a number with s, m, h or d, from ${minMs / UNITS_MS.s}s to ${maxMs / UNITS_MS.d}d.`,
      )
    return ms
  }
}

/** Reads the public id of an event. */
export function eventName(text: string): { paymentId: string; sequence: number } {
  const name = parseEventId(text.toLowerCase())
  if (!name) throw new InvalidArgumentError('The id of an event is evt_, a UUID, _ and a number.')
  return name
}

const TIME = z.union([z.iso.date(), z.iso.datetime({ offset: true })])

export function futureTime(text: string): Date {
  const time = timeOf(text)
  if (!(time.getTime() > Date.now()))
    throw new InvalidArgumentError('A time is 2030-01-31 or 2030-01-31T12:00:00Z, and lies in the future.')
  return time
}

export function pastTime(text: string): Date {
  const time = timeOf(text)
  if (!(time.getTime() <= Date.now()))
    throw new InvalidArgumentError('A time is 2026-01-31 or 2026-01-31T12:00:00Z, and is over.')
  return time
}

/** A time without a date if the text is none. */
const timeOf = (text: string) => new Date(TIME.safeParse(text).success ? text : Number.NaN)
