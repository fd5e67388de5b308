#include "base/leftover.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { SLOT_FREE, SLOT_CHANGING, SLOT_NOTED };

/* A handler of signals gets no argument, so this is global. It looks at noted slots only. */
static struct slot {
    atomic_int state;
    int folder;
    dev_t device;
    ino_t inode;
    char name[PP_LEFTOVER_NAME_BYTES];
} slots[PP_LEFTOVERS_MAX];

static struct slot *find(int folder, const char *name)
{
    for (struct slot *slot = slots; slot < slots + PP_LEFTOVERS_MAX; slot++)
        if (atomic_load(&slot->state) == SLOT_NOTED && slot->folder == folder &&
            strcmp(slot->name, name) == 0)
            return slot;
    return NULL;
}

static struct slot *take_slot(int folder, const char *name)
{
    struct slot *slot = find(folder, name);

    if (slot) {
        atomic_store(&slot->state, SLOT_CHANGING);
        return slot;
    }
    for (slot = slots; slot < slots + PP_LEFTOVERS_MAX; slot++) {
        int state = SLOT_FREE;

        if (atomic_compare_exchange_strong(&slot->state, &state, SLOT_CHANGING))
            return slot;
    }
    return NULL;
}

void pp_leftover_note(int folder, const char *name, const struct stat *status)
{
    const size_t bytes = strlen(name) + 1;
    struct slot *slot = bytes <= PP_LEFTOVER_NAME_BYTES ? take_slot(folder, name) : NULL;

    if (!slot)
        return;
    slot->folder = folder;
    slot->device = status->st_dev;
    slot->inode = status->st_ino;
    memcpy(slot->name, name, bytes);
    atomic_store(&slot->state, SLOT_NOTED);
}

void pp_leftover_forget(int folder, const char *name)
{
    struct slot *slot = find(folder, name);

    if (slot)
        atomic_store(&slot->state, SLOT_FREE);
}

static void remove_file(const struct slot *slot)
{
    struct stat now;

    if (fstatat(slot->folder, slot->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
        now.st_dev == slot->device && now.st_ino == slot->inode)
        (void)unlinkat(slot->folder, slot->name, 0);
}

void pp_leftover_remove(int folder, const char *name)
{
    struct slot *slot = find(folder, name);

    if (!slot)
        return;
    remove_file(slot);
    atomic_store(&slot->state, SLOT_FREE);
}

void pp_leftover_remove_all(void)
{
    for (const struct slot *slot = slots; slot < slots + PP_LEFTOVERS_MAX; slot++)
        if (atomic_load(&slot->state) == SLOT_NOTED)
            remove_file(slot);
}
