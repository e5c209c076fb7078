import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { REPOSITORY } from '../src/index.ts'

describe('package.json', () => {
  it('package.json has no script that npm skips with ignore-scripts', async () => {
    const { scripts } = JSON.parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const hooks = Object.keys(scripts).filter((name) => /^(pre|post)/.test(name))
    expect(hooks).to.eql([])
  })
})
