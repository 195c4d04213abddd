/**
 * StorageClass and VolumeAttributesClass parameters. Both spellings of a pair are taken, at once only if they agree;
 * anything unknown or out of range is refused with a sentence that names the parameter and its value.
 */
import { MeshStorError } from "../base/errors.ts";

/** What a StorageClass asks for. */
export interface VolumeParameters {
  numberOfCopies: number;
  drivesPerCopy: number;
  /** Seconds. */
  memberMissingTimeout: number;
  sectorSize?: 512 | 4096;
}
/** What a VolumeAttributesClass may change. */
export type MutableParameters = Partial<Pick<VolumeParameters, "numberOfCopies" | "memberMissingTimeout">>;

export const DEFAULT_PARAMETERS: Readonly<VolumeParameters> = { numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900 };
/** Largest values that the schema takes (volume.ts). */
export const MAX_COPIES = 16;
export const MAX_DRIVES_PER_COPY = 16;
export const MAX_MEMBER_MISSING_TIMEOUT = 2_147_483_647;

type Field = keyof VolumeParameters;
interface Rule {
  /** What the value must be, as it stands in the sentence. */
  readonly mustBe: string;
  accepts(value: number): boolean;
}

function from(min: number, max: number): Rule {
  return { mustBe: `a whole number from ${min} to ${max}`, accepts: (value) => value >= min && value <= max };
}
const RULES: Readonly<Record<Field, Rule>> = {
  numberOfCopies: from(1, MAX_COPIES),
  drivesPerCopy: from(1, MAX_DRIVES_PER_COPY),
  memberMissingTimeout: from(60, MAX_MEMBER_MISSING_TIMEOUT),
  sectorSize: { mustBe: "512 or 4096", accepts: (value) => value === 512 || value === 4096 },
};
/** Every key that is understood. */
const FIELD_OF_KEY: ReadonlyMap<string, Field> = new Map([
  ["numberOfCopies", "numberOfCopies"],
  ["replicaCount", "numberOfCopies"],
  ["drivesPerCopy", "drivesPerCopy"],
  ["stripeWidth", "drivesPerCopy"],
  ["memberMissingTimeout", "memberMissingTimeout"],
  ["sectorSize", "sectorSize"],
]);
const MUTABLE: ReadonlySet<Field> = new Set<Field>(["numberOfCopies", "memberMissingTimeout"]);
/** Added by the provisioner for its own purposes. */
const SIDECAR_PREFIX = "csi.storage.k8s.io/";

/**
 * Parameters of a StorageClass (CreateVolume), with defaults filled in.
 * @throws MeshStorError InvalidParameter
 */
export function parseParameters(parameters: Readonly<Record<string, string>>): VolumeParameters {
  return { ...DEFAULT_PARAMETERS, ...(read("StorageClass", parameters) as Partial<VolumeParameters>) };
}

/**
 * Parameters of a VolumeAttributesClass (CreateVolume and ModifyVolume): only what can be changed on a volume that exists.
 * @throws MeshStorError InvalidParameter
 */
export function parseMutableParameters(parameters: Readonly<Record<string, string>>): MutableParameters {
  const values = read("VolumeAttributesClass", parameters);
  for (const field of Object.keys(values) as Field[]) {
    if (!MUTABLE.has(field)) throw invalid(`VolumeAttributesClass parameter ${field} cannot be changed on a volume that exists.`);
  }
  return values;
}

function read(source: string, parameters: Readonly<Record<string, string>>): Partial<Record<Field, number>> {
  const values: Partial<Record<Field, number>> = {};
  const spelledAs: Partial<Record<Field, string>> = {};
  for (const [key, value] of Object.entries(parameters)) {
    if (key.startsWith(SIDECAR_PREFIX)) continue;
    const field = FIELD_OF_KEY.get(key);
    if (field === undefined) throw invalid(`${source} parameter ${quote(key)} (value ${quote(value)}) is not known; known are ${[...FIELD_OF_KEY.keys()].join(", ")}.`);
    const number = decimal(value);
    if (number === null || !RULES[field].accepts(number)) throw invalid(`${source} parameter ${key} is ${quote(value)}: it must be ${RULES[field].mustBe}.`);
    const other = spelledAs[field];
    if (other !== undefined && values[field] !== number) {
      throw invalid(`${source} parameters ${other} and ${key} are two spellings of one thing but differ: ${values[field]} and ${number}.`);
    }
    values[field] = number;
    spelledAs[field] = key;
  }
  return values;
}

/** Decimal digits only: no sign, space, point, exponent or other base. */
function decimal(text: string): number | null {
  return typeof text === "string" && /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
}
function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
}
function invalid(message: string): MeshStorError {
  return new MeshStorError("InvalidParameter", message);
}
