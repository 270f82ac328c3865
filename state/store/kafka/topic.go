package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec/unit"
)

// awaitTopic looks whether the topic is there as configured, makes it if that
// is wanted, and waits while it is not to be had. oldest is the event that waits.
func (d *Drain) awaitTopic(ctx context.Context, client *kgo.Client, oldest unit.WallTime) error {
	told := ""
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		partitions, err := d.topic(ctx, client)
		if err == nil {
			d.log.Info("topic found", "partitions", partitions)
			if want := d.cfg.Partitions; want > 0 && partitions != want {
				d.log.Warn("the topic has another number of partitions than kafka.partitions; it is used as it is: change the setting, or the topic, after which a campaign's events can change partition once",
					"has", partitions, "configured", want)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.fault(err)
		d.lagNanos.Store(int64(max(0, d.wall().Sub(oldest))))
		if text := err.Error(); text != told {
			d.log.Warn("the topic can't be used yet; the journal keeps the events", "error", err)
			told = text
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// topic is how many partitions the topic has. One that is absent is made if
// its number of partitions is configured.
func (d *Drain) topic(ctx context.Context, client *kgo.Client) (partitions int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &d.cfg.Topic
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(ctx, client)
	if err != nil {
		return 0, d.unreached(err)
	}
	if len(answer.Topics) != 1 {
		return 0, fmt.Errorf("kafka: %d answers for topic %s", len(answer.Topics), d.cfg.Topic)
	}
	switch err := kerr.ErrorForCode(answer.Topics[0].ErrorCode); {
	case err == nil:
		return len(answer.Topics[0].Partitions), nil
	case !errors.Is(err, kerr.UnknownTopicOrPartition):
		return 0, fmt.Errorf("kafka: topic %s: %w", d.cfg.Topic, err)
	case d.cfg.Partitions == 0:
		return 0, fmt.Errorf("kafka: there is no topic %s; make it, or set kafka.partitions to have it made", d.cfg.Topic)
	}
	if err := d.create(ctx, client); err != nil {
		return 0, err
	}
	return d.cfg.Partitions, nil
}

func (d *Drain) create(ctx context.Context, client *kgo.Client) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = d.cfg.Topic, int32(d.cfg.Partitions), int16(d.cfg.Replication)
	if d.cfg.Replication == 0 {
		topic.ReplicationFactor = -1
	}
	request.Topics, request.TimeoutMillis = append(request.Topics, topic), int32(requestTimeout/time.Millisecond)
	answer, err := request.RequestWith(ctx, client)
	if err != nil {
		return d.unreached(err)
	}
	for i := range answer.Topics {
		// Another node may have been quicker.
		if err := kerr.ErrorForCode(answer.Topics[i].ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			text := ""
			if m := answer.Topics[i].ErrorMessage; m != nil {
				text = ": " + *m
			}
			return fmt.Errorf("kafka: making topic %s with %d partitions: %w%s", d.cfg.Topic, d.cfg.Partitions, err, text)
		}
	}
	return nil
}

func (d *Drain) unreached(err error) error {
	return fmt.Errorf("kafka: no broker of %v answers: %w; check kafka.brokers and the network", d.cfg.Brokers, err)
}
