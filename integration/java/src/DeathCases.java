import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Workers are killed under groups: with SIGKILL, in a broker of the case's own. */
final class DeathCases {
	private DeathCases() {
	}

	static void all() {
		if (!OwnBroker.isHere()) {
			System.out.println("ok - groups whose workers are killed # SKIP BROKER names no broker to start");
			return;
		}
		Suite.check("group: every worker is killed, without a rebalance", () -> stable("Range", "none"));
		Suite.check("group: every worker is killed, nobody loses its place",
			() -> stable("CooperativeSticky", "rebootstrap"));
		Suite.check("group: its worker is killed in each of six rebalances", DeathCases::rebalancing);
		Suite.check("group: its worker is killed while a static member is away", DeathCases::away);
		Suite.check("group: the whole broker is killed, and started with other workers", DeathCases::broker);
	}

	/** What a case does with its broker. */
	private interface With {
		void on(OwnBroker b, Ledger ledger) throws Exception;
	}

	private static void with(With f) throws Exception {
		Ledger ledger = new Ledger();
		try (OwnBroker b = OwnBroker.create(4)) {
			try {
				f.on(b, ledger);
			} catch (Throwable t) {
				b.show();
				ledger.check();
				throw t;
			}
		}
		ledger.check();
	}

	private static String topic(OwnBroker b, String stem, int partitions) throws Exception {
		return Suite.topic(b.bootstrap, stem, partitions, Map.of());
	}

	private static Member member(OwnBroker b, Ledger ledger, String topic, String assignor, String recovery) {
		return new Member(ledger, b.bootstrap, "group", topic, Map.of("metadata.recovery.strategy", recovery,
			"partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor + "Assignor"));
	}

	/**
	 * With metadata.recovery.strategy=rebootstrap (the default of kafka-clients 4) a client forgets all topics when it
	 * loses its connection to the only broker. A group's leader then takes them for changed, and joins again; so there
	 * may be rebalances, which the broker did not ask for.
	 */
	private static void stable(String assignor, String recovery) throws Exception {
		with((b, ledger) -> {
			String t = topic(b, "stable", 6);
			List<Member> members = Suite.repeat(3, i -> member(b, ledger, t, assignor, recovery));
			Member.awaitShares(6, members);
			List<List<Integer>> told = Member.told(members);
			int rebalances = b.rebalances("group"), sent;
			try (Writer writer = new Writer(b.bootstrap, t, 6)) {
				for (String worker : List.of(b.owner("group"), "worker-0", "worker-1", "worker-2", "worker-3")) {
					long before = ledger.count();
					b.kill(worker);
					Suite.await("all members read on", () -> ledger.count() > before + 100);
				}
				sent = writer.finish();
			}
			Suite.await("all is read", () -> ledger.count() >= sent);
			if (recovery.equals("none")) {
				Suite.equal(told, Member.told(members), "what the members were told");
				Suite.equal(rebalances, b.rebalances("group"), "rebalances");
			}
			Member.awaitShares(6, members);
			Suite.equal(0, members.stream().mapToInt(m -> m.losses.get()).sum(), "losses");
			Suite.equal((long)sent, ledger.count(), "records read");
			Member.stop(members);
		});
	}

	private static void rebalancing() throws Exception {
		with((b, ledger) -> {
			List<Member> members = new ArrayList<>();
			String t = topic(b, "rebalancing", 4);
			members.add(member(b, ledger, t, "CooperativeSticky", "none"));
			Member.awaitShares(4, members);
			try (Writer writer = new Writer(b.bootstrap, t, 4)) {
				for (int i = 0; i < 6; i++) {
					int before = b.rebalances("group");
					Member newest = member(b, ledger, t, "CooperativeSticky", "none");
					members.add(newest);
					// One that was under way may have taken it in.
					Suite.await("a rebalance", () -> b.rebalances("group") > before || !newest.partitions().isEmpty());
					b.kill(b.owner("group"));
					if (members.size() > 3)
						members.remove(0).stop();
				}
				Member.awaitShares(4, members);
				int sent = writer.finish();
				Suite.await("all is read", () -> ledger.count() >= sent);
				Suite.equal((long)sent, ledger.count(), "records read");
				Member.stop(members);
			}
		});
	}

	private static Member fixed(OwnBroker b, Ledger ledger, String topic, int i) {
		return new Member(ledger, b.bootstrap, "group", topic, Map.of("group.instance.id", "instance-" + i,
			"metadata.recovery.strategy", "none"));
	}

	private static void away() throws Exception {
		with((b, ledger) -> {
			String t = topic(b, "away", 4);
			List<Member> members = new ArrayList<>(Suite.repeat(2, i -> fixed(b, ledger, t, i)));
			Member.awaitShares(4, members);
			List<Set<Integer>> shares = members.stream().map(Member::partitions).toList();
			List<List<Integer>> told = Member.told(members.subList(0, 1));
			members.remove(1).stop();
			b.kill(b.owner("group"));
			GroupCases.write(b.bootstrap, t, 4, 40);
			members.add(fixed(b, ledger, t, 1));
			Suite.await("all is read", () -> ledger.count() >= 40);
			Suite.equal(shares, members.stream().map(Member::partitions).toList(), "partitions");
			Suite.equal(told, Member.told(members.subList(0, 1)), "what the other was told");
			Member.stop(members);
		});
	}

	private static void broker() throws Exception {
		with((b, ledger) -> {
			String t = topic(b, "broker", 4);
			List<Member> members = Suite.repeat(2, i -> member(b, ledger, t, "Range", "none"));
			Member.awaitShares(4, members);
			List<List<Integer>> told = Member.told(members);
			int written = 0;
			for (int workers : new int[] { 3, 1, 4 }) {
				b.restart(workers);
				GroupCases.write(b.bootstrap, t, 4, 40);
				int all = written += 40;
				Suite.await("all is read", () -> ledger.count() >= all);
			}
			Suite.equal(told, Member.told(members), "what the members were told");
			Member.stop(members);
		});
	}
}
