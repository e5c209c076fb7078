import { join } from 'node:path'
import { REPOSITORY, type Role } from '@cashflow/testing'
import { declareProductQueue } from './queue/queue.ts'
import { connect } from './textbook/broker.ts'

/** A pipeline that can be started: its code, and the database that it needs. */
export interface Contender {
  readonly kind: 'product' | 'textbook'
  /** The template of its databases. */
  readonly template: string
  /** Path of the Node that runs it. */
  readonly node: string
  /** Returns the main module of one of its processes. */
  fileOf(role: Role | 'webhooks'): string
  declareQueue(brokerUrl: string): Promise<void>
}

/** Cashflow in one tree of files. */
export interface Product extends Contender {
  readonly kind: 'product'
  /** The root of the tree, with its packages installed. */
  readonly root: string
}

/** Settings of Cashflow's webhooks service. */
export const WEBHOOK_SETTINGS = {
  SECRETS_KEY: 'a-key-of-benchmarks-that-seals-nothing',
  WEBHOOK_ALLOW_PRIVATE: 'yes',
} as const

export const TEXTBOOK: Contender = {
  kind: 'textbook',
  template: 'bench_textbook',
  node: process.execPath,
  fileOf: (role) => join(import.meta.dirname, 'textbook', `${role}.ts`),
  declareQueue: async (brokerUrl) => (await connect(brokerUrl)).close(),
}

/** The checkout that this file is in, with uncommitted changes. */
export const THIS_TREE = productIn(REPOSITORY, 'bench_product')

export function productIn(root: string, template: string): Product {
  return {
    kind: 'product',
    root,
    template,
    node: join(root, 'node_modules/node/bin/node'), // The root's package.json pins it.
    fileOf: (role) => join(root, 'services', role, 'src/main.ts'),
    declareQueue: declareProductQueue,
  }
}
