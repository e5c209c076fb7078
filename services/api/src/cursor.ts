import { createHmac, timingSafeEqual } from 'node:crypto'
import { Problem } from './problem.ts'

/** What a cursor is valid for. */
export interface CursorScope {
  /** The list, and the version of its positions. */
  readonly list: 'payments' | 'events' | 'webhook-endpoints' | 'webhook-deliveries'
  readonly merchantId: string
  /** The filters of the request, in their normal form. Their order does not matter. */
  readonly filters?: Readonly<Record<string, string | undefined>>
}

/** A place in a list, as the list's own texts. */
export type Position = readonly string[]

export type Cursors = ReturnType<typeof createCursors>

const VERSION = 1
const MAC_BYTES = 32

/**
 * Cursors that clients cannot make, change, or use for another list: base64url of a version, an HMAC-SHA-256 and a position.
 * The HMAC covers the scope as well, so the cursor need not contain it. All processes of a deployment have the same secret.
 *
 * @param readSecret called when a cursor is first needed, and again after it failed
 */
export function createCursors(readSecret: () => Promise<Buffer>) {
  let reading: Promise<Buffer> | undefined

  function secret(): Promise<Buffer> {
    reading ??= readSecret().catch((error: unknown) => {
      reading = undefined
      throw error
    })
    return reading
  }

  async function macOf({ list, merchantId, filters = {} }: CursorScope, position: string): Promise<Buffer> {
    const given = Object.entries(filters).filter(([, value]) => value !== undefined)
    const sorted = given.toSorted(([one], [other]) => (one < other ? -1 : 1))
    const covered = JSON.stringify([VERSION, list, merchantId, sorted, position])
    return createHmac('sha256', await secret())
      .update(covered)
      .digest()
  }

  return {
    async seal(scope: CursorScope, position: Position): Promise<string> {
      const text = JSON.stringify(position)
      const bytes = [Buffer.of(VERSION), await macOf(scope, text), Buffer.from(text)]
      return Buffer.concat(bytes).toString('base64url')
    },

    /** @throws Problem `invalid-cursor` unless `seal` of any process returned this cursor for this scope */
    async open(scope: CursorScope, cursor: string): Promise<Position> {
      const bytes = Buffer.from(cursor, 'base64url')
      const mac = bytes.subarray(1, 1 + MAC_BYTES)
      const text = bytes.toString('utf8', 1 + MAC_BYTES)
      // Other spellings of the same bytes are not what `seal` returned.
      const isSpelled = bytes.toString('base64url') === cursor
      if (
        !isSpelled ||
        bytes[0] !== VERSION ||
        mac.length < MAC_BYTES ||
        !timingSafeEqual(mac, await macOf(scope, text))
      )
        throw new Problem(
          'invalid-cursor',
          'The cursor is not one that this list gave for the same filters. Send the filters unchanged with each cursor, or begin without one.',
        )
      return JSON.parse(text)
    },
  }
}
