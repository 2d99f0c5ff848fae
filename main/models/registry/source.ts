/** A model as its registry offers it: the manifest, and where to get what the manifest names. */
export interface RemoteModel {
  /** Byte for byte as it is to be stored; not checked yet. */
  manifest: Uint8Array
  /** Where the blob of a digest that the manifest names is. */
  blob(digest: string): RemoteBlob
}

/** What to GET; or the bytes, where they came with the manifest. */
export type RemoteBlob = { url: URL } | { bytes: Uint8Array }
