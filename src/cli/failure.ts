/** Whatever a command ends with, as an error of the table. */
import { MeshStorError } from "../base/errors.ts";
import { asApiError, KubeError } from "../kube/kube-error.ts";
import { WriteInDoubt } from "../kube/update.ts";

/** @param what a clause for the sentence: "scaling volume pvc-1" */
export async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw asFailure(thrown, what);
  }
}

function asFailure(thrown: unknown, what: string): MeshStorError {
  if (thrown instanceof WriteInDoubt) return new MeshStorError("ApiUnavailable", `${what}: ${thrown.message}`, { cause: thrown });
  if (thrown instanceof KubeError) {
    if (thrown.status === 401 || thrown.status === 403) return new MeshStorError("Forbidden", `${what}: ${thrown.message}`, { cause: thrown });
    if (thrown.status === 400 || thrown.status === 422) return new MeshStorError("BadArgument", `${what}: ${thrown.message}`, { cause: thrown });
  }
  return asApiError(thrown, what);
}
