import { expect } from 'chai'
import fc from 'fast-check'
import { readPages } from '../../src/postgres/pages.ts'

/** As PostgreSQL reports it. */
const damage = () => Object.assign(new Error('invalid page in block 0'), { code: 'XX001' })

const LAST = 200n

/** Places of rows, with whether they can be read. */
const rows = fc.uniqueArray(fc.tuple(fc.bigInt({ min: 0n, max: LAST }), fc.boolean()), {
  selector: ([place]) => place,
  maxLength: 60,
})

/** Reads all rows. Each statement also reads `lookAhead` rows behind its last one, as a sort or a merge does. */
async function readAll(given: readonly (readonly [bigint, boolean])[], limitMax: number, lookAhead: number) {
  const sorted = given.toSorted(([one], [other]) => (one < other ? -1 : 1))
  const read = async (after: bigint, to: bigint, limit: number) => {
    const part = sorted.filter(([place]) => place > after && place <= to)
    if (part.slice(0, limit + lookAhead).some(([, isReadable]) => !isReadable)) throw damage()
    const places = part.slice(0, limit).map(([place]) => place)
    return { places, upto: places.length === limit ? (places.at(-1) ?? to) : to }
  }
  const found: bigint[] = []
  const unreadable: bigint[] = []
  for await (const page of readPages(read, { after: -1n, to: LAST }, limitMax))
    if ('error' in page) unreadable.push(page.at)
    else found.push(...page.places)
  const placesOf = (wanted: boolean) => sorted.filter(([, isReadable]) => isReadable === wanted).map(([place]) => place)
  return { found, unreadable, expected: { found: placesOf(true), unreadable: placesOf(false) } }
}

describe('readPages', () => {
  it('readPages: reads each readable row once, in order, and names each other one', async () => {
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 70 }), fc.nat({ max: 3 }), async (given, limit, lookAhead) => {
        const { found, unreadable, expected } = await readAll(given, limit, lookAhead)
        expect({ found, unreadable }).to.deep.equal(expected)
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 200) },
    )
  })
})
