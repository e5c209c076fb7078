import type { Role } from '../answers.ts'

declare global {
  namespace Express {
    interface Locals {
      /** Set for a request with a login. */
      operator: { readonly name: string; readonly role: Role; readonly expiresAt: number }
    }
  }
}
