/*
 * err: every error of the Kafka protocol, once (https://kafka.apache.org/protocol#protocol_error_codes).
 *
 * Functions that can fail return enum err, so that what a handler finds out is what the client is told.
 * LMDB's and the system's own codes are translated at the seams (storage/env.c), never passed up.
 *
 * Each row: name, code on the wire, RETRY where a client may send the same again and hope (Kafka's own
 * clients do: subclasses of its RetriableException), FINAL where not, and a few words for people.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define ERR_LIST(E) \
	E(UNKNOWN_SERVER_ERROR, -1, FINAL, "the broker met a failure that it has no better name for") \
	E(NONE, 0, FINAL, "no error") \
	E(OFFSET_OUT_OF_RANGE, 1, FINAL, "the partition's log holds no such offset: it was deleted, or is not written yet") \
	E(CORRUPT_MESSAGE, 2, RETRY, "a record batch is damaged: its checksum, a size or a count is wrong") \
	E(UNKNOWN_TOPIC_OR_PARTITION, 3, RETRY, "this broker has no such topic or partition") \
	E(INVALID_FETCH_SIZE, 4, FINAL, "the requested number of bytes makes no sense") \
	E(LEADER_NOT_AVAILABLE, 5, RETRY, "the partition has no leader at this moment") \
	E(NOT_LEADER_OR_FOLLOWER, 6, RETRY, "this broker does not serve that partition") \
	E(REQUEST_TIMED_OUT, 7, RETRY, "the time that the request allowed has passed") \
	E(BROKER_NOT_AVAILABLE, 8, FINAL, "the broker that was asked for is not there") \
	E(REPLICA_NOT_AVAILABLE, 9, RETRY, "the replica that was asked for is not there") \
	E(MESSAGE_TOO_LARGE, 10, FINAL, "a record batch is larger than max.message.bytes allows") \
	E(STALE_CONTROLLER_EPOCH, 11, FINAL, "another broker has become the controller since") \
	E(OFFSET_METADATA_TOO_LARGE, 12, FINAL, "the text that came with a committed offset is too long") \
	E(NETWORK_EXCEPTION, 13, RETRY, "the connection ended before the answer came") \
	E(COORDINATOR_LOAD_IN_PROGRESS, 14, RETRY, "the coordinator is still loading its state; ask again") \
	E(COORDINATOR_NOT_AVAILABLE, 15, RETRY, "the group or transaction has no coordinator at this moment") \
	E(NOT_COORDINATOR, 16, RETRY, "this broker does not coordinate that group or transaction") \
	E(INVALID_TOPIC_EXCEPTION, 17, FINAL, "a topic cannot have that name, or may not be used so") \
	E(RECORD_LIST_TOO_LARGE, 18, FINAL, "the record batches of the request are larger than a log may take at once") \
	E(NOT_ENOUGH_REPLICAS, 19, RETRY, "too few replicas are in sync; nothing was written") \
	E(NOT_ENOUGH_REPLICAS_AFTER_APPEND, 20, RETRY, "written, but by fewer replicas than were asked for") \
	E(INVALID_REQUIRED_ACKS, 21, FINAL, "acks must be 0, 1 or -1 (all)") \
	E(ILLEGAL_GENERATION, 22, FINAL, "the group has moved on to another generation") \
	E(INCONSISTENT_GROUP_PROTOCOL, 23, FINAL, "the member shares no protocol with the rest of its group, or named none") \
	E(INVALID_GROUP_ID, 24, FINAL, "a group cannot have that name") \
	E(UNKNOWN_MEMBER_ID, 25, FINAL, "the group has no such member") \
	E(INVALID_SESSION_TIMEOUT, 26, FINAL, "the session time-out is outside what the broker allows") \
	E(REBALANCE_IN_PROGRESS, 27, FINAL, "the group is rebalancing; the member has to join again") \
	E(INVALID_COMMIT_OFFSET_SIZE, 28, FINAL, "the offsets to commit take more room than the store gives them") \
	E(TOPIC_AUTHORIZATION_FAILED, 29, FINAL, "the client may not do this with the topic") \
	E(GROUP_AUTHORIZATION_FAILED, 30, FINAL, "the client may not do this with the group") \
	E(CLUSTER_AUTHORIZATION_FAILED, 31, FINAL, "the client may not do this to the cluster") \
	E(INVALID_TIMESTAMP, 32, FINAL, "a record's timestamp is outside what the topic accepts") \
	E(UNSUPPORTED_SASL_MECHANISM, 33, FINAL, "the broker does not offer that SASL mechanism") \
	E(ILLEGAL_SASL_STATE, 34, FINAL, "this request does not fit the present step of authentication") \
	E(UNSUPPORTED_VERSION, 35, FINAL, "the broker does not speak this version of the API") \
	E(TOPIC_ALREADY_EXISTS, 36, FINAL, "there is a topic of that name") \
	E(INVALID_PARTITIONS, 37, FINAL, "a topic cannot have that number of partitions") \
	E(INVALID_REPLICATION_FACTOR, 38, FINAL, "there are not that many brokers to replicate to") \
	E(INVALID_REPLICA_ASSIGNMENT, 39, FINAL, "partitions cannot be assigned to brokers in that way") \
	E(INVALID_CONFIG, 40, FINAL, "an option has a value that it cannot have") \
	E(NOT_CONTROLLER, 41, RETRY, "this broker is not the controller") \
	E(INVALID_REQUEST, 42, FINAL, "the request contradicts itself or the protocol") \
	E(UNSUPPORTED_FOR_MESSAGE_FORMAT, 43, FINAL, "the message format of the partition cannot do this") \
	E(POLICY_VIOLATION, 44, FINAL, "a rule that the operator set forbids this") \
	E(OUT_OF_ORDER_SEQUENCE_NUMBER, 45, FINAL, "an idempotent producer's batch does not follow its last one") \
	E(DUPLICATE_SEQUENCE_NUMBER, 46, FINAL, "an idempotent producer's batch was written before, too long ago to say where") \
	E(INVALID_PRODUCER_EPOCH, 47, FINAL, "a newer instance of the producer has taken over") \
	E(INVALID_TXN_STATE, 48, FINAL, "the transaction is in no state for this") \
	E(INVALID_PRODUCER_ID_MAPPING, 49, FINAL, "the producer id does not belong to that transactional id") \
	E(INVALID_TRANSACTION_TIMEOUT, 50, FINAL, "the transaction time-out is longer than the broker allows") \
	E(CONCURRENT_TRANSACTIONS, 51, RETRY, "the transaction is still being ended; ask again") \
	E(TRANSACTION_COORDINATOR_FENCED, 52, FINAL, "another coordinator has taken the transaction over") \
	E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 53, FINAL, "the client may not use that transactional id") \
	E(SECURITY_DISABLED, 54, FINAL, "the broker runs without security, and so has nothing to set here") \
	E(OPERATION_NOT_ATTEMPTED, 55, FINAL, "not tried, because another part of the same request failed") \
	E(KAFKA_STORAGE_ERROR, 56, RETRY, "the store could not be read or written") \
	E(LOG_DIR_NOT_FOUND, 57, FINAL, "the broker has no such log directory") \
	E(SASL_AUTHENTICATION_FAILED, 58, FINAL, "the credentials were not accepted") \
	E(UNKNOWN_PRODUCER_ID, 59, FINAL, "nothing is known of this producer any more; its records have been deleted") \
	E(REASSIGNMENT_IN_PROGRESS, 60, FINAL, "the partition is being moved") \
	E(DELEGATION_TOKEN_AUTH_DISABLED, 61, FINAL, "the broker does not use delegation tokens") \
	E(DELEGATION_TOKEN_NOT_FOUND, 62, FINAL, "there is no such delegation token") \
	E(DELEGATION_TOKEN_OWNER_MISMATCH, 63, FINAL, "the delegation token belongs to somebody else") \
	E(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, 64, FINAL, "delegation tokens cannot be asked for over a connection like this one") \
	E(DELEGATION_TOKEN_AUTHORIZATION_FAILED, 65, FINAL, "the client may not do this with the delegation token") \
	E(DELEGATION_TOKEN_EXPIRED, 66, FINAL, "the delegation token is too old") \
	E(INVALID_PRINCIPAL_TYPE, 67, FINAL, "the broker does not know that type of principal") \
	E(NON_EMPTY_GROUP, 68, FINAL, "the group still has members") \
	E(GROUP_ID_NOT_FOUND, 69, FINAL, "there is no such group") \
	E(FETCH_SESSION_ID_NOT_FOUND, 70, RETRY, "the broker does not remember that fetch session") \
	E(INVALID_FETCH_SESSION_EPOCH, 71, RETRY, "a request of the fetch session was lost or came twice") \
	E(LISTENER_NOT_FOUND, 72, RETRY, "the leader cannot be reached through the listener that was asked") \
	E(TOPIC_DELETION_DISABLED, 73, FINAL, "delete.topic.enable is false") \
	E(FENCED_LEADER_EPOCH, 74, RETRY, "the client's idea of the partition's leader is out of date") \
	E(UNKNOWN_LEADER_EPOCH, 75, RETRY, "the client knows of a later leader than this broker does") \
	E(UNSUPPORTED_COMPRESSION_TYPE, 76, FINAL, "the client cannot read the codec that the partition holds") \
	E(STALE_BROKER_EPOCH, 77, FINAL, "the broker has been registered anew since") \
	E(OFFSET_NOT_AVAILABLE, 78, RETRY, "the new leader does not know its high watermark yet") \
	E(MEMBER_ID_REQUIRED, 79, FINAL, "join again with the member id that this answer carries") \
	E(PREFERRED_LEADER_NOT_AVAILABLE, 80, RETRY, "the preferred leader is not there") \
	E(GROUP_MAX_SIZE_REACHED, 81, FINAL, "the group is full") \
	E(FENCED_INSTANCE_ID, 82, FINAL, "another member has joined under the same group.instance.id") \
	E(ELIGIBLE_LEADERS_NOT_AVAILABLE, 83, RETRY, "no broker that could lead the partition is there") \
	E(ELECTION_NOT_NEEDED, 84, RETRY, "the partition has the leader that it should have") \
	E(NO_REASSIGNMENT_IN_PROGRESS, 85, FINAL, "the partition is not being moved") \
	E(GROUP_SUBSCRIBED_TO_TOPIC, 86, FINAL, "the group is reading the topic, so its offsets stay") \
	E(INVALID_RECORD, 87, FINAL, "a record breaks the topic's rules") \
	E(UNSTABLE_OFFSET_COMMIT, 88, RETRY, "a transaction that is still open has offsets for this partition") \
	E(THROTTLING_QUOTA_EXCEEDED, 89, RETRY, "more was asked for than the quota allows; wait and ask again") \
	E(PRODUCER_FENCED, 90, FINAL, "a newer producer uses the same transactional id") \
	E(RESOURCE_NOT_FOUND, 91, FINAL, "the thing that the request is about does not exist") \
	E(DUPLICATE_RESOURCE, 92, FINAL, "the request names the same thing twice") \
	E(UNACCEPTABLE_CREDENTIAL, 93, FINAL, "the credential is weaker than the broker accepts") \
	E(INCONSISTENT_VOTER_SET, 94, FINAL, "the two sides do not agree on who votes") \
	E(INVALID_UPDATE_VERSION, 95, FINAL, "that version cannot follow the present one") \
	E(FEATURE_UPDATE_FAILED, 96, FINAL, "the cluster's features could not be changed") \
	E(PRINCIPAL_DESERIALIZATION_FAILURE, 97, FINAL, "a forwarded request's principal could not be read") \
	E(SNAPSHOT_NOT_FOUND, 98, FINAL, "there is no such snapshot") \
	E(POSITION_OUT_OF_RANGE, 99, FINAL, "the snapshot has no such position") \
	E(UNKNOWN_TOPIC_ID, 100, RETRY, "this broker has no topic of that id") \
	E(DUPLICATE_BROKER_REGISTRATION, 101, FINAL, "another broker is registered under this id") \
	E(BROKER_ID_NOT_REGISTERED, 102, FINAL, "no broker is registered under this id") \
	E(INCONSISTENT_TOPIC_ID, 103, RETRY, "the topic's id is another than the one in the request") \
	E(INCONSISTENT_CLUSTER_ID, 104, FINAL, "the request is meant for another cluster") \
	E(TRANSACTIONAL_ID_NOT_FOUND, 105, FINAL, "nothing is known of that transactional id") \
	E(FETCH_SESSION_TOPIC_ID_ERROR, 106, RETRY, "the fetch session mixes requests with and without topic ids") \
	E(INELIGIBLE_REPLICA, 107, FINAL, "a replica that cannot be in sync was named as in sync") \
	E(NEW_LEADER_ELECTED, 108, FINAL, "the change was made, and gave the partition another leader") \
	E(OFFSET_MOVED_TO_TIERED_STORAGE, 109, FINAL, "the offset is held in tiered storage only") \
	E(FENCED_MEMBER_EPOCH, 110, FINAL, "the member has been fenced; it has to give up its partitions and join again") \
	E(UNRELEASED_INSTANCE_ID, 111, FINAL, "another member still uses this group.instance.id") \
	E(UNSUPPORTED_ASSIGNOR, 112, FINAL, "the group does not know that assignor") \
	E(STALE_MEMBER_EPOCH, 113, FINAL, "the member's epoch is old; it learns the new one from its next heartbeat") \
	E(MISMATCHED_ENDPOINT_TYPE, 114, FINAL, "brokers were asked for what controllers know, or the other way round") \
	E(UNSUPPORTED_ENDPOINT_TYPE, 115, FINAL, "endpoints of that type are not served") \
	E(UNKNOWN_CONTROLLER_ID, 116, FINAL, "there is no controller with that id") \
	E(UNKNOWN_SUBSCRIPTION_ID, 117, FINAL, "the telemetry subscription is unknown or out of date") \
	E(TELEMETRY_TOO_LARGE, 118, FINAL, "the telemetry is larger than the broker takes") \
	E(INVALID_REGISTRATION, 119, FINAL, "the broker's registration was refused") \
	E(TRANSACTION_ABORTABLE, 120, FINAL, "the transaction has failed; abort it and begin another") \
	E(INVALID_RECORD_STATE, 121, FINAL, "the record is in no state for this acknowledgement") \
	E(SHARE_SESSION_NOT_FOUND, 122, RETRY, "the broker does not remember that share session") \
	E(INVALID_SHARE_SESSION_EPOCH, 123, RETRY, "a request of the share session was lost or came twice") \
	E(FENCED_STATE_EPOCH, 124, FINAL, "the share group's state has moved on") \
	E(INVALID_VOTER_KEY, 125, FINAL, "the voter key is not the one of this replica") \
	E(DUPLICATE_VOTER, 126, FINAL, "that replica votes already") \
	E(VOTER_NOT_FOUND, 127, FINAL, "that replica does not vote") \
	E(INVALID_REGULAR_EXPRESSION, 128, FINAL, "the regular expression cannot be understood") \
	/* end */
/* clang-format on */

enum err {
#define E(name, code, retry, text) ERR_##name = (code),
	ERR_LIST(E)
#undef E
};

/* A code that is not in the list counts as UNKNOWN_SERVER_ERROR in all three. */
const char *err_name(enum err e); /* "OFFSET_OUT_OF_RANGE" */
const char *err_text(enum err e); /* the words for people; no capital, no full stop */
bool err_is_retriable(enum err e);

#endif
