// What drivers do all day: doubly linked lists, a pool of small blocks and a hash table, by chasing pointers.
#include "workload.h"

typedef struct Link { struct Link *next, *previous; } Link;
typedef struct { Link bucket, age; u64 key; u32 hits, tag; } Entry;
enum { BUCKETS = 512, ENTRIES = 4000 };
typedef struct {
  Link buckets[BUCKETS], byAge, unused;
  u32 live, evicted;
  Entry entries[ENTRIES];
} Table;
_Static_assert(sizeof(Table) < SCRATCH_BYTES, "the table fits");

static inline void initialize(Link *head) { head->next = head->previous = head; }
static inline void insertTail(Link *head, Link *link) {
  Link *last = head->previous;
  link->next = head;
  link->previous = last;
  last->next = link;
  head->previous = link;
}
static inline void removeLink(Link *link) {
  Link *next = link->next, *previous = link->previous;
  previous->next = next;
  next->previous = previous;
}
#define CONTAINER(link, type, field) ((type *)((u8 *)(link) - __builtin_offsetof(type, field)))

static NOINLINE u32 hash(u64 key) { return (u32)(key * 0x9e3779b97f4a7c15ull >> 55); }

static NOINLINE Entry *find(Table *table, u64 key) {
  Link *head = &table->buckets[hash(key) % BUCKETS];
  for (Link *link = head->next; link != head; link = link->next) {
    Entry *entry = CONTAINER(link, Entry, bucket);
    if (entry->key == key) return entry;
  }
  return 0;
}
static NOINLINE void drop(Table *table, Entry *entry) {
  removeLink(&entry->bucket);
  removeLink(&entry->age);
  insertTail(&table->unused, &entry->age);
  table->live--;
}
static NOINLINE Entry *insert(Table *table, u64 key) {
  if (table->unused.next == &table->unused) {
    drop(table, CONTAINER(table->byAge.next, Entry, age));
    table->evicted++;
  }
  Entry *entry = CONTAINER(table->unused.next, Entry, age);
  removeLink(&entry->age);
  entry->key = key;
  entry->hits = 0;
  insertTail(&table->buckets[hash(key) % BUCKETS], &entry->bucket);
  insertTail(&table->byAge, &entry->age);
  table->live++;
  return entry;
}

ENTRY(u64 count, u8 *scratch) {
  Table *table = (Table *)scratch;
  for (int i = 0; i < BUCKETS; i++) initialize(&table->buckets[i]);
  initialize(&table->byAge);
  initialize(&table->unused);
  table->live = table->evicted = 0;
  for (int i = 0; i < ENTRIES; i++) insertTail(&table->unused, &table->entries[i].age);
  u32 seed = 88172645u;
  u64 sum = 0;
  for (u64 n = 0; n < count; n++) {
    u32 r = nextRandom(&seed);
    u64 key = (u64)(r % 6000) << 20 | r % 6000;
    Entry *entry = find(table, key);
    if (!entry) entry = insert(table, key);
    else if ((r >> 28) == 0) { drop(table, entry); continue; }
    entry->hits++;
    removeLink(&entry->age);
    insertTail(&table->byAge, &entry->age);
    sum += entry->hits ^ table->live;
  }
  for (Link *link = table->byAge.next; link != &table->byAge; link = link->next) sum = sum * 33 + CONTAINER(link, Entry, age)->key;
  return sum ^ (u64)table->evicted << 32;
}
