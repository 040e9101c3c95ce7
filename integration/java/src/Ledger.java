import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * Who owns which partition, and how far each was read and committed. A partition that is given to one while another
 * still has it, and a record that is missed or read again, are wrong; but what was not committed when a partition was
 * lost is to be read again.
 */
final class Ledger {
	private final Map<TopicPartition, Member> owner = new HashMap<>();
	private final Map<TopicPartition, Long> next = new HashMap<>(), committed = new HashMap<>();
	private final List<String> wrong = new ArrayList<>();

	synchronized void take(Member m, Collection<TopicPartition> partitions) {
		for (TopicPartition p : partitions) {
			Member other = owner.put(p, m);
			if (other != null)
				wrong.add(m.name + " was given " + p + ", which " + other.name + " still had");
		}
	}

	synchronized void give(Member m, Collection<TopicPartition> partitions) {
		for (TopicPartition p : partitions)
			if (!owner.remove(p, m))
				wrong.add(m.name + " gives back " + p + ", which it did not have");
	}

	synchronized void read(Member m, ConsumerRecord<byte[], byte[]> r) {
		TopicPartition p = new TopicPartition(r.topic(), r.partition());
		long expected = next.getOrDefault(p, 0L);
		if (r.offset() != expected)
			wrong.add(m.name + " read " + p + "@" + r.offset() + " instead of " + expected);
		if (owner.get(p) != m)
			wrong.add(m.name + " read " + p + ", which it did not have");
		next.put(p, r.offset() + 1);
	}

	synchronized void committed(TopicPartition p, long offset) {
		committed.put(p, offset);
	}

	synchronized void lose(Member m, Collection<TopicPartition> partitions) {
		give(m, partitions);
		for (TopicPartition p : partitions)
			next.put(p, committed.getOrDefault(p, 0L));
	}

	/** Records read, each counted once. */
	synchronized long count() {
		return next.values().stream().mapToLong(n -> n).sum();
	}

	synchronized void check() {
		if (!wrong.isEmpty())
			throw new AssertionError(wrong.size() + " wrong: " + wrong.subList(0, Math.min(5, wrong.size())));
	}
}
