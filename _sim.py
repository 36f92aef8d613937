import random,time,sys
from bench.pumping import *
for name,attack in SHAPES.items():
    t=time.time(); o=replay(honest_prefixes(random.Random(7)),attack,Policy(),1)
    print(f"{name}: asked {o.asked} sent {o.sent} spend {o.spend:.2%} honest {o.honest} refused {o.refused} {o.refusals:.3%} holds {o.holds} {time.time()-t:.1f}s",flush=True)
