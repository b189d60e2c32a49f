using System.Runtime.InteropServices;
using Mesh.Transparent.Interception;

namespace Mesh.Transparent.Commands;

/// <summary>Makes this process another user's, with no right of root's left, and no way back.</summary>
internal static unsafe partial class ProcessUser
{
    /// <remarks>Groups that the pod gave it (<c>fsGroup</c>, by which files of volumes are read) stay, root's goes. All threads change: the C library sees to that.</remarks>
    /// <exception cref="InterceptionException">The kernel refuses it.</exception>
    public static void Become(uint user, uint group)
    {
        var count = GetGroups(0, null);
        var groups = new uint[Math.Max(count, 0)];
        fixed (uint* all = groups)
        {
            count = GetGroups(groups.Length, all);
        }

        uint[] kept = [.. groups.Take(Math.Max(count, 0)).Where(g => g != 0)];
        fixed (uint* some = kept)
        {
            if (SetGroups((nuint)kept.Length, some) != 0 || SetGroup(group) != 0 || SetUser(user) != 0 || GetUser() != user)
            {
                throw new InterceptionException(
                    ExitCodes.NotPermitted,
                    $"could not become user {user}, group {group}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}. Add the capabilities SETUID and SETGID, or let an init container run 'init'.");
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "getgroups", SetLastError = true)]
    private static partial int GetGroups(int size, uint* groups);

    [LibraryImport("libc", EntryPoint = "setgroups", SetLastError = true)]
    private static partial int SetGroups(nuint size, uint* groups);

    [LibraryImport("libc", EntryPoint = "setgid", SetLastError = true)]
    private static partial int SetGroup(uint group);

    [LibraryImport("libc", EntryPoint = "setuid", SetLastError = true)]
    private static partial int SetUser(uint user);

    [LibraryImport("libc", EntryPoint = "getuid")]
    private static partial uint GetUser();
}
