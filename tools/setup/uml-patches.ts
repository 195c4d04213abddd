/**
 * Changes to the process guests' kernel source: only to what plays the hardware (the drives, and arch/um itself).
 * The product's own paths (MD, dm, NVMe host, nvmet for any other NQN, XFS) stay Debian's.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One textual change; it must match exactly once, otherwise set-up fails. */
export interface KernelPatch {
  readonly file: string;
  readonly why: string;
  readonly find: string;
  readonly replace: string;
}

const IS_DRIVE = (subsystem: string): string => `!strncmp(${subsystem}->subsysnqn, "nqn.2025-12.lab:", 16)`;

/** All changes, in order. */
export const PATCHES: readonly KernelPatch[] = [
  {
    file: "drivers/nvme/target/admin-cmd.c",
    why: "An emulated drive (loop transport, the lab's NQN) has one port and one controller like a drive in a slot, and offers no Write Zeroes when its NQN says so.",
    find: "\tid->vwc = NVME_CTRL_VWC_PRESENT;\n",
    replace: [
      "\tid->vwc = NVME_CTRL_VWC_PRESENT;",
      `\tif (${IS_DRIVE("ctrl->subsys")}) {`,
      "\t\tid->cmic = 0;",
      '\t\tif (strstr(ctrl->subsys->subsysnqn, ":nowz:"))',
      "\t\t\tid->oncs &= ~cpu_to_le16(NVME_CTRL_ONCS_WRITE_ZEROES);",
      "\t}",
      "",
    ].join("\n"),
  },
  {
    file: "drivers/nvme/target/admin-cmd.c",
    why: "The emulated drive's namespace is private to its controller.",
    find: "\tid->nmic = NVME_NS_NMIC_SHARED;\n\tid->anagrpid",
    replace: `\tid->nmic = ${IS_DRIVE("req->ns->subsys")} ? 0 : NVME_NS_NMIC_SHARED;\n\tid->anagrpid`,
  },
  {
    file: "drivers/nvme/target/admin-cmd.c",
    why: "The emulated drive takes Write Zeroes of up to 32 MiB (65536 blocks) in one command, as drives that are fast at it do.",
    find: "\t/* Not supported: return zeroes */\n\tnvmet_req_complete(req,\n\t\t   nvmet_zero_sgl(req, 0, sizeof(struct nvme_id_ctrl_nvm)));\n",
    replace: [
      "\tstatic const struct nvme_id_ctrl_nvm drive = { .wzsl = 13 };",
      "\tstatic const struct nvme_id_ctrl_nvm other;",
      `\tbool fast = ${IS_DRIVE("req->sq->ctrl->subsys")} &&`,
      '\t\t!strstr(req->sq->ctrl->subsys->subsysnqn, ":nowz:");',
      "",
      "\tnvmet_req_complete(req, nvmet_copy_to_sgl(req, 0, fast ? &drive : &other, sizeof(drive)));",
      "",
    ].join("\n"),
  },
  {
    file: "arch/um/drivers/ubd_kern.c",
    why: "Write Zeroes on a drive file is one request of up to 32 MiB; 32 KiB each would make its time grow with the drive.",
    find: "lim.max_write_zeroes_sectors = UBD_MAX_REQUEST;",
    replace: "lim.max_write_zeroes_sectors = 65536;",
  },
  {
    file: "arch/um/drivers/ubd_kern.c",
    why: "Such a request has no copy-on-write mask to look into (the mask covers 64 sectors).",
    find: "\t\twhile((end < nsectors) &&\n",
    replace: "\t\tif (desc->buffer == NULL)\n\t\t\tend = nsectors;\n\t\twhile((end < nsectors) &&\n",
  },
  {
    file: "arch/um/os-Linux/file.c",
    why: "Write Zeroes on a drive file frees its blocks (they read as zeroes), so that a zeroed 20 GiB drive costs no disk space and tmpfs works too.",
    find: "FALLOC_FL_ZERO_RANGE|FALLOC_FL_KEEP_SIZE",
    replace: "FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE",
  },
  {
    file: "arch/um/kernel/tlb.c",
    why: "A program killed while it forks panics a 6.12 kernel: the copy of its address space ends at a marker (kernel/fork.c, dup_mmap), which exit_mmap knows and this loop took for an area.",
    find: "\tfor_each_vma(vmi, vma)\n\t\tum_tlb_mark_sync(",
    replace: "\tfor_each_vma(vmi, vma)\n\t\tif (xa_is_zero(vma))\n\t\t\tbreak;\n\t\telse\n\t\t\tum_tlb_mark_sync(",
  },
  {
    file: "arch/um/drivers/vector_kern.c",
    why: "A packet that the host refuses is lost, and said; unpatched, the interface is dead for good from then on (in_error is never taken back).",
    find: "\tif (pkt_len < 0)\n\t\tvp->in_error = true;\n\treturn pkt_len;\n",
    replace: '\tif (pkt_len < 0 && net_ratelimit())\n\t\tnetdev_err(vp->dev, "writev err=%i\\n", pkt_len);\n\treturn pkt_len;\n',
  },
  {
    file: "arch/um/drivers/vector_kern.c",
    why: "The same for a packet that cannot be read: the next one may wait already.",
    find: "\tif (pkt_len < 0) {\n\t\tvp->in_error = true;\n\t\treturn pkt_len;\n\t}\n",
    replace: [
      "\tif (pkt_len < 0) {",
      "\t\tif (net_ratelimit())",
      '\t\t\tnetdev_err(vp->dev, "readv err=%i\\n", pkt_len);',
      "\t\tif (skb != NULL)",
      "\t\t\tdev_kfree_skb_irq(skb);",
      "\t\tvp->dev->stats.rx_errors++;",
      "\t\treturn 1;",
      "\t}",
      "",
    ].join("\n"),
  },
];

/** Applies every patch to an unpacked kernel tree; throws when a place is not found exactly once. */
export function patchKernel(tree: string): void {
  for (const patch of PATCHES) {
    const path = join(tree, patch.file);
    const parts = readFileSync(path, "utf8").split(patch.find);
    if (parts.length !== 2) throw new Error(`${patch.file}: expected one place to change, found ${parts.length - 1} (${patch.why})`);
    writeFileSync(path, parts.join(patch.replace));
  }
}
