import { expect } from 'chai'
import fc from 'fast-check'
import { withoutCulprits } from '../../src/payments/wait-lookups.ts'

const damaged = () => Object.assign(new Error('invalid page in block 7'), { code: 'XX001' })

describe('api: look-up of many payments', () => {
  // Promise 89
  it('api: a look-up that damaged rows fail finds all other payments', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 100 }), async (damages) => {
        const items = damages.map((isDamaged, place) => ({ isDamaged, place }))
        const [found, failed] = [new Set<number>(), new Set<number>()]
        const work = async (some: typeof items) => {
          if (some.some(({ isDamaged }) => isDamaged)) throw damaged()
          for (const { place } of some) found.add(place)
        }
        await withoutCulprits(
          items,
          (some) => work([...some]),
          ({ place }) => void failed.add(place),
        )
        for (const { isDamaged, place } of items) expect((isDamaged ? failed : found).has(place)).to.equal(true)
        expect(found.size + failed.size).to.equal(items.length)
      }),
    )
  })

  it('api: a look-up throws the error of a database that is away, and blames no payment', async () => {
    const away = Object.assign(new Error('the database system is shutting down'), { code: '57P03' })
    const failed: number[] = []
    const work = async () => {
      throw away
    }
    const thrown = await withoutCulprits([1, 2], work, (item) => void failed.push(item)).catch((error) => error)
    expect(thrown).to.equal(away)
    expect(failed).to.deep.equal([])
  })
})
