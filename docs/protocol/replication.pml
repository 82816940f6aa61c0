/* The replication of one page of one shard, for Spin: every order of events that
 * three nodes, four epochs, two writes and one memory-losing crash can make.
 * What it says in words is in replication.md; what runs is internal/core/shard.
 *
 * The claim, asserted at every read: a primary that believes it has a lease never
 * returns a value older than one that was acknowledged or read before.
 *
 * Raft is one register, here the variables primary, member and epoch. A message
 * takes effect now or never, which covers loss and any order of delivery. A lease
 * may lapse at any moment, and its node learns nothing by that.
 *
 * scripts/model.sh runs it whole, and with each WITHOUT_x, which takes one rule
 * away and must find an error.
 */
#define N 3
#define NOBODY N
#define WRITES 2
#define EPOCHS 4
#define CRASHES 1
#ifndef MEMBERS
#define MEMBERS 3   /* at the start; 2: the third node is a spare */
#endif

/* What Raft has decided. */
byte epoch = 1;
byte primary = 0;
bool member[N];

/* Of each node. */
bool alive[N];
bool holds[N];      /* its memory has the shard, as what it is now incarnated as */
bool lease[N];      /* its lease covers this moment */
byte promised[N];   /* the newest epoch that it promised to follow */
byte value[N];      /* the newest value in its memory, committed or not */

/* Of each node as a primary; the pairs are [primary*N + other]. */
byte leads[N];      /* the epoch at which it believes it is the primary, 0: it does not */
bool serving[N];     /* it has made the members equal to itself, and serves */
byte served[N];     /* the committed value that it returns to readers */
byte writing[N];    /* the value that it replicates, 0: none */
bool view[N*N];     /* who it believes the members are */
bool equal[N*N];    /* who was made equal to it since it leads */
bool has[N*N];      /* who acknowledged what it writes */

byte written = 0;   /* the last value that a client gave */
byte seen = 0;      /* the newest value that a client was told: acknowledged, or read */
byte crashes = 0;

#define others(p, x) ((p == 0 || !view[p*N] || x[p*N]) && (p == 1 || !view[p*N+1] || x[p*N+1]) && (p == 2 || !view[p*N+2] || x[p*N+2]))
#define enough(p)    (view[p*N] + view[p*N+1] + view[p*N+2] >= 2)
#define members      (member[0] + member[1] + member[2])
#define kept(n)      (alive[n] && member[n] && holds[n])
#define spared(n)    ((n != 0 && kept(0)) || (n != 1 && kept(1)) || (n != 2 && kept(2)))

#ifdef WITHOUT_EVERY_ACK       /* one follower is enough: core/shard/replicate.go */
#define acknowledged(p) (has[p*N] || has[p*N+1] || has[p*N+2])
#else
#define acknowledged(p) others(p, has)
#endif
#ifdef WITHOUT_PROMISE         /* a follower takes entries of an older epoch: core/shard/member.go */
#define open(b, p) (true)
#else
#define open(b, p) (promised[b] <= leads[p])
#endif
#ifdef WITHOUT_LEASE           /* a primary reads without a lease: core/shard/read.go */
#define leased(p) (true)
#else
#define leased(p) (lease[p])
#endif

#define look(p)     view[p*N] = member[0]; view[p*N+1] = member[1]; view[p*N+2] = member[2]
#define clear(x, p) x[p*N] = false; x[p*N+1] = false; x[p*N+2] = false
#define quit(p)     leads[p] = 0; serving[p] = false; writing[p] = 0

/* pick puts a node for which the condition holds into b, by chance; NOBODY if there is none. */
#define pick(b, c0, c1, c2) if :: c0 -> b = 0 :: c1 -> b = 1 :: c2 -> b = 2 :: else -> b = NOBODY fi

proctype node(byte p) {
  byte b;
end:
  do
  /* It learns that it is the primary: again, with other members, or from now on. */
  :: atomic { kept(p) && primary == p && leads[p] < epoch ->
       if
       :: leads[p] != 0 && serving[p] -> skip
       :: else -> serving[p] = false; writing[p] = 0; clear(equal, p); clear(has, p)
       fi;
       leads[p] = epoch; promised[p] = epoch; look(p) }

  /* It learns that it is the primary no more. */
  :: atomic { alive[p] && holds[p] && primary != p && leads[p] != 0 && leads[p] < epoch ->
       quit(p);
       if :: member[p] && promised[p] < epoch -> promised[p] = epoch :: else fi }

  /* Takeover: one member promises, drops what is its own, and is made equal. */
#define unequal(b) (b != p && view[p*N+b] && !equal[p*N+b] && alive[b] && holds[b] && promised[b] <= leads[p])
  :: atomic { alive[p] && leads[p] != 0 && !serving[p] ->
       pick(b, unequal(0), unequal(1), unequal(2));
       if
       :: b != NOBODY ->
#ifndef WITHOUT_RECONCILING    /* the members are not made equal: core/shard/takeover.go */
            value[b] = value[p];
#endif
            promised[b] = leads[p]; equal[p*N+b] = true
       :: else
       fi }
  :: atomic { alive[p] && leads[p] != 0 && !serving[p] && others(p, equal) && enough(p) ->
       serving[p] = true; served[p] = value[p] }

  /* A write: ordered, taken by one member after the other, acknowledged. */
  :: atomic { alive[p] && serving[p] && writing[p] == 0 && written < WRITES ->
       written++; writing[p] = written; value[p] = written; clear(has, p) }
#define lacks(b) (b != p && view[p*N+b] && !has[p*N+b] && alive[b] && holds[b])
  :: atomic { alive[p] && writing[p] != 0 ->
       pick(b, lacks(0), lacks(1), lacks(2));
       if
       :: b != NOBODY && open(b, p) -> promised[b] = leads[p]; value[b] = writing[p]; has[p*N+b] = true
       :: else
       fi }
  :: atomic { alive[p] && serving[p] && writing[p] != 0 && acknowledged(p) && enough(p) ->
       served[p] = writing[p];
       if :: writing[p] > seen -> seen = writing[p] :: else fi;
       writing[p] = 0 }

  /* A read. What was read must survive as well. */
  :: atomic { alive[p] && serving[p] && leased(p) -> assert(served[p] >= seen); seen = served[p] }
  od
}

/* The keeper and Raft. */
proctype keeper() {
  byte b;
end:
  do
  /* A lease lapses; one is granted, with the configuration: only who knows the epoch gets it. */
#define lapse(n) atomic { lease[n] -> lease[n] = false }
#define grant(n) atomic { alive[n] && !lease[n] && (primary == n && member[n] -> leads[n] == epoch : leads[n] == 0) -> lease[n] = true }
  :: lapse(0) :: lapse(1) :: lapse(2)
  :: grant(0) :: grant(1) :: grant(2)

  /* A member without a lease is removed, never the last one. */
#define dead(n) (member[n] && members > 1 && (!lease[n] || !alive[n]))
  :: atomic { epoch < EPOCHS ->
       pick(b, dead(0), dead(1), dead(2));
       if
       :: b != NOBODY -> member[b] = false; epoch++;
            if
            :: primary == b -> if :: member[0] -> primary = 0 :: member[1] -> primary = 1 :: member[2] -> primary = 2 fi
            :: else
            fi
       :: else
       fi }

  /* The primary has a slow member dropped, while two copies remain. */
#define slow(n) (members > 2 && primary != n && member[n])
  :: atomic { epoch < EPOCHS && alive[primary] && serving[primary] && leads[primary] == epoch ->
       pick(b, slow(0), slow(1), slow(2));
       if :: b != NOBODY -> member[b] = false; epoch++ :: else fi }

  /* A learner has the whole copy and every write since, and is promoted. */
#define spare(n) (!member[n] && alive[n])
  :: atomic { epoch < EPOCHS && alive[primary] && holds[primary] && leads[primary] == epoch ->
       pick(b, spare(0), spare(1), spare(2));
       if
       :: b != NOBODY && leads[b] == 0 && (serving[primary] || members == 1) ->
#ifndef WITHOUT_WHOLE_COPY     /* promoted before its copy is complete: core/shard/learner.go */
            value[b] = value[primary];
#endif
            holds[b] = true; promised[b] = leads[primary]; member[b] = true; epoch++;
#ifndef WITHOUT_EARLY_SYNC     /* not waited for until its promotion is known: core/shard/learner.go */
            view[primary*N+b] = true;
#endif
            if
            :: serving[primary] -> if :: writing[primary] != 0 -> has[primary*N+b] = true :: else fi
            :: else -> equal[primary*N+b] = true
            fi
       :: else
       fi }

  /* A crash loses memory, while another member keeps it. */
#define mortal(n) (alive[n] && spared(n))
  :: atomic { crashes < CRASHES ->
       pick(b, mortal(0), mortal(1), mortal(2));
       if
       :: b != NOBODY ->
            crashes++; alive[b] = false; holds[b] = false; lease[b] = false; quit(b);
            value[b] = 0; served[b] = 0; promised[b] = 0
       :: else
       fi }

  /* It comes back as another incarnation, when Raft has taken it out. */
#define back(n) atomic { !alive[n] && !member[n] -> alive[n] = true }
  :: back(0) :: back(1) :: back(2)
#ifdef WITHOUT_INCARNATIONS    /* it comes back as the member that it was: placement/life.go */
#define again(n) atomic { !alive[n] && member[n] -> alive[n] = true; holds[n] = true }
  :: again(0) :: again(1) :: again(2)
#endif
  od
}

init {
  atomic {
    byte i;
    for (i : 0 .. N-1) {
      member[i] = i < MEMBERS; holds[i] = member[i]; alive[i] = true; promised[i] = 1; lease[i] = true
    }
    run node(0); run node(1); run node(2); run keeper()
  }
}
