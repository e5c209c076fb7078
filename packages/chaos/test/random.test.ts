import { expect } from 'chai'
import { createRandom } from '../src/random.ts'

describe('random choices', () => {
  const draws = (seed: number) => {
    const random = createRandom(seed)
    return [
      random.int(1, 1_000_000),
      random.shuffled([1, 2, 3, 4, 5, 6, 7]),
      random.chance(0.5),
      random.pick('abcdef'.split('')),
    ]
  }

  it('random choices are the same for the same seed, and differ for another one', () => {
    expect(draws(7)).to.deep.equal(draws(7))
    expect(draws(7)).not.to.deep.equal(draws(8))
  })

  it('shuffles without losing an item', () => {
    expect(createRandom(3).shuffled([1, 2, 3, 4]).toSorted()).to.deep.equal([1, 2, 3, 4])
  })
})
