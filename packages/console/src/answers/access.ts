export type Role = 'read' | 'operate'

/** `GET /api/me` */
export interface Me {
  /** The operator's name, as the audit log has it. */
  readonly name: string
  readonly role: Role
  readonly sandbox: boolean
  readonly version: string
  /** The end of the login. */
  readonly expires_at: string
}
