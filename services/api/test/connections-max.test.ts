import { expect } from 'chai'
import { connectionsMax } from '../src/connections-max.ts'

describe('The limit of connections', () => {
  const limits = (files: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     
Max processes             9                    9                    processes 
Max open files            ${files.padEnd(21)}${files.padEnd(21)}files     `

  it('is 4,096, and lower where the process may open fewer files', () => {
    expect(connectionsMax(limits('1048576'))).to.equal(4_096)
    expect(connectionsMax(limits('unlimited'))).to.equal(4_096)
    expect(connectionsMax('')).to.equal(4_096)
    expect(connectionsMax(limits('1024'))).to.equal(960)
    expect(connectionsMax(limits('10'))).to.equal(1)
  })
})
