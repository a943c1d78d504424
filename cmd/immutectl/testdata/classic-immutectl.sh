#!/bin/bash
# The classic layout's /usr/local/bin/immutectl, for comparison. Only "/" and "/etc" have
# become $ROOT and $ETC, so that it can be pointed at a test system.
# Ensure script is run as root
if [[ $EUID -ne 0 ]]; then
    echo "This script must be run as root (sudo)."
    exit 1
fi
ACTION=$1
case $ACTION in
    unlock)
        echo "🔓 Unlocking $ROOT and $ETC for maintenance..."
        # 1. First, tell the Kernel to allow writes to the mount point
        mount -o remount,rw "$ROOT"
        mount -o remount,rw "$ETC"
        # 2. Now that the VFS is RW, Btrfs will allow you to change the property
        btrfs property set "$ROOT" ro false
        btrfs property set "$ETC" ro false
        echo "Status: System is now READ-WRITE."
        ;;
    lock)
        echo "🔒 Locking $ROOT and $ETC (Immutable Mode)..."
        sync
        btrfs property set "$ROOT" ro true
        btrfs property set "$ETC" ro true
        # We still attempt remount, but we ignore failure since Property is the Hard Lock
        mount -o remount,ro "$ROOT" 2>/dev/null
        mount -o remount,ro "$ETC" 2>/dev/null
        echo "Status: System is now READ-ONLY (Btrfs Property Set)."
        ;;
    status)
        echo "--- System Immutability Status ---"
        for dir in "$ROOT" "$ETC"; do
            # Get VFS state
            VFS_STATE=$(grep " $dir " /proc/mounts | awk '{print $4}' | cut -d, -f1)
            # Get Btrfs Property state
            BTRFS_PROP=$(btrfs property get "$dir" ro | cut -d= -f2)
            # Determine overall health
            if [[ "$BTRFS_PROP" == "true" ]]; then
                FINAL_STATUS="LOCKED (RO)"
            else
                FINAL_STATUS="UNLOCKED (RW)"
            fi
            echo "Path: $dir"
            echo "  - VFS Layer (Mount): $VFS_STATE"
            echo "  - Btrfs Property:    ro=$BTRFS_PROP"
            echo "  - Effective State:   $FINAL_STATUS"
            # Check for mismatch (The "Busy" scenario)
            if [[ "$VFS_STATE" == "rw" && "$BTRFS_PROP" == "true" ]]; then
                echo "  ⚠️  NOTICE: VFS is RW but Btrfs is RO. System is effectively Immutable."
            fi
            echo ""
        done
        ;;
    *)
        echo "Usage: $0 {lock|unlock|status}"
        exit 1
        ;;
esac
