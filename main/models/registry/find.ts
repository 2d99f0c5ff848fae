import { mediaTypes } from '../manifest.ts'
import { type RegistryClient, registryUrl } from './client.ts'
import { RegistryError } from './errors.ts'
import { type HuggingFace, isHubName } from './hugging-face.ts'
import { maxManifestBytes } from './manifest-check.ts'
import type { PullRequest } from './pull.ts'
import type { RemoteModel } from './source.ts'

/** Asks the registry that a name speaks of what the model is made of; its errors begin as the peer's. */
export async function findRemote(
  { client, hub }: { client: RegistryClient; hub: Pick<HuggingFace, 'find'> },
  request: PullRequest,
  signal: AbortSignal,
): Promise<RemoteModel> {
  try {
    return isHubName(request.name) ? await hub.find(request.name, signal) : await inRegistry(client, request, signal)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    const { status, retryAfterMs, isTemporary } = error
    throw new RegistryError(`pull model manifest: ${error.message}`, { status, retryAfterMs, isTemporary, cause: error })
  }
}

async function inRegistry(client: RegistryClient, { name, insecure }: PullRequest, signal: AbortSignal): Promise<RemoteModel> {
  using response = await client.request(registryUrl(name, `manifests/${name.tag}`, { insecure }), { headers: { accept: mediaTypes.manifest } }, signal)
  const manifest = await response.bytes(maxManifestBytes)
  return { manifest, blob: (digest) => ({ url: registryUrl(name, `blobs/${digest}`, { insecure }) }) }
}
