/** A slow and lossy link, made by the guests' own kernels (netem) on both of its ends. */
import { sleep } from "../../../lab/world/wait.ts";
import type { Fault } from "../fault.ts";

const LOSSY_MS = 40_000;

/** What netem does to every packet that leaves an end of the link. */
const QUALITIES = {
  "slow-link": { netem: "delay 40ms 10ms", words: "is slow: 40 ms each way", lossy: false },
  "lossy-link": { netem: "delay 10ms 5ms loss 3%", words: "loses 3 of 100 packets", lossy: true },
} as const;

export const LINK: readonly Fault[] = (Object.keys(QUALITIES) as (keyof typeof QUALITIES)[]).map((name) => ({
  name,
  title: `The link of owner and provider ${QUALITIES[name].words}.`,
  only: "process",
  run: async (stage) => {
    const { netem, words, lossy } = QUALITIES[name];
    const ends = [stage.guest(stage.home), stage.guest(stage.other)];
    stage.begin(`the link ${words}`);
    for (const end of ends) await end.sh(`tc qdisc add dev eth0 root netem ${netem}`);
    await sleep(LOSSY_MS);
    await stage.progress(20, 120);
    for (const end of ends) {
      const [, packets = "0", dropped = "0"] = /(\d+) pkt \(dropped (\d+)/.exec(await end.sh("tc -s qdisc show dev eth0")) ?? [];
      if (Number(lossy ? dropped : packets) > 0) stage.engaged(`${end.name} sent ${packets} packets through it and lost ${dropped}`);
      await end.sh("tc qdisc del dev eth0 root");
    }
  },
}));
