/*
 * handlers: the functions behind the APIs, for the table in dispatch.c. One file per API; call.h says what
 * handle, write, failed, answer and forget are.
 */
#ifndef BROKER_API_HANDLERS_H
#define BROKER_API_HANDLERS_H

#include "broker/call.h"

struct api_versions_response;
struct group_action;
struct group_joined;

/* 0 Produce, 1 Fetch */
enum next produce_handle(struct call *call);
enum next produce_write(struct call *call, struct store_txn *txn);
void produce_failed(struct call *call, enum err error);
void produce_keep(struct call *call);
enum next fetch_handle(struct call *call);
void fetch_answer(struct call *call);
void fetch_forget(struct call *call);

/* 2 ListOffsets */
enum next list_offsets_handle(struct call *call);
void list_offsets_answer(struct call *call);

/* 3 Metadata: writes where it creates topics */
enum next metadata_handle(struct call *call);
enum next metadata_write(struct call *call, struct store_txn *txn);
void metadata_failed(struct call *call, enum err error);

/* 8 OffsetCommit, 9 OffsetFetch */
enum next offset_commit_handle(struct call *call);
enum next offset_commit_write(struct call *call, struct store_txn *txn);
void offset_commit_failed(struct call *call, enum err error);
enum next offset_fetch_handle(struct call *call);

/* 10 FindCoordinator */
enum next find_coordinator_handle(struct call *call);

/* 11 JoinGroup, 12 Heartbeat, 13 LeaveGroup, 14 SyncGroup; forget is group_call_forget() of coordinator.h */
enum next join_group_handle(struct call *call);
void join_group_failed(struct call *call, enum err error);
void join_group_fill(struct call *call, const struct group_joined *joined);
enum next heartbeat_handle(struct call *call);
void heartbeat_failed(struct call *call, enum err error);
enum next leave_group_handle(struct call *call);
void leave_group_failed(struct call *call, enum err error);
enum next sync_group_handle(struct call *call);
void sync_group_failed(struct call *call, enum err error);
void sync_group_fill(struct call *call, const struct group_action *action);

/* 15 DescribeGroups, 16 ListGroups; forget is scatter_forget() of scatter.h */
enum next describe_groups_handle(struct call *call);
enum next list_groups_handle(struct call *call);

/* 18 ApiVersions */
enum next api_versions_handle(struct call *call);
/* The list of what is served, of any version; *out is all zeros or defaults. For an unsupported version the
 * dispatcher sets the error beside it and sends a v0 body (KIP-511). */
void api_versions_fill(struct api_versions_response *out, struct arena *arena);

/* 19 CreateTopics, 20 DeleteTopics */
enum next create_topics_handle(struct call *call);
enum next create_topics_write(struct call *call, struct store_txn *txn);
void create_topics_failed(struct call *call, enum err error);
enum next delete_topics_handle(struct call *call);
enum next delete_topics_write(struct call *call, struct store_txn *txn);
void delete_topics_failed(struct call *call, enum err error);

/* 22 InitProducerId */
enum next init_producer_id_handle(struct call *call);
enum next init_producer_id_write(struct call *call, struct store_txn *txn);
void init_producer_id_failed(struct call *call, enum err error);

/* 23 OffsetForLeaderEpoch */
enum next offset_for_leader_epoch_handle(struct call *call);

/* 32 DescribeConfigs */
enum next describe_configs_handle(struct call *call);

/* 37 CreatePartitions */
enum next create_partitions_handle(struct call *call);
enum next create_partitions_write(struct call *call, struct store_txn *txn);
void create_partitions_failed(struct call *call, enum err error);

/* 42 DeleteGroups, 47 OffsetDelete */
enum next delete_groups_handle(struct call *call);
enum next delete_groups_write(struct call *call, struct store_txn *txn);
void delete_groups_failed(struct call *call, enum err error);
enum next offset_delete_handle(struct call *call);
enum next offset_delete_write(struct call *call, struct store_txn *txn);
void offset_delete_failed(struct call *call, enum err error);

/* 60 DescribeCluster */
enum next describe_cluster_handle(struct call *call);

/* 75 DescribeTopicPartitions */
enum next describe_topic_partitions_handle(struct call *call);

#endif
