using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mesh.Transparent.Interception;

/// <summary>Speaks with nf_tables over a netlink socket, so that an image needs neither nft nor iptables in it.</summary>
internal static partial class NetfilterSocket
{
    private const int AfNetlink = 16;
    private const int RawAndCloseOnExec = 3 | 0x80000;
    private const int NetlinkNetfilter = 12;
    private const int SolSocket = 1;
    private const int SendBuffer = 7;
    private const int ReceiveBuffer = 8;
    private const int SendBufferForce = 32;
    private const int ReceiveBufferForce = 33;
    private const int SolNetlink = 270;
    private const int ShortAnswers = 10;
    private const int DoNotWait = 0x40;
    private const int Interrupted = 4;
    private const int WouldBlock = 11;
    private const int NoBufferSpace = 105;
    private const int ErrorMessage = 2;
    private const int ErrorLength = 36;

    /// <summary>Hundreds of rules are one message to the kernel, which must fit.</summary>
    private const int BufferBytes = 1 << 20;

    /// <exception cref="InterceptionException">The kernel refused it; nothing has changed then.</exception>
    public static void Commit(NftBatch batch)
    {
        var descriptor = Socket(AfNetlink, RawAndCloseOnExec, NetlinkNetfilter);
        if (descriptor < 0)
        {
            throw NftErrors.From(Marshal.GetLastPInvokeError(), "open a netlink socket to netfilter");
        }

        using var socket = new SafeFileHandle(descriptor, ownsHandle: true);
        SetBuffer(socket, SendBufferForce, SendBuffer);
        SetBuffer(socket, ReceiveBufferForce, ReceiveBuffer);

        // An error is answered without the whole message it is about.
        var on = 1;
        _ = SetOption(socket, SolNetlink, ShortAnswers, in on, sizeof(int));

        if (Send(socket, batch.Messages, (nuint)batch.Messages.Length, 0) < 0)
        {
            throw NftErrors.From(Marshal.GetLastPInvokeError(), "send the rules to the kernel");
        }

        ReadAnswers(socket, batch);
    }

    /// <summary>Beyond the system's limit only with CAP_NET_ADMIN, without which nothing else will work either.</summary>
    private static void SetBuffer(SafeFileHandle socket, int force, int plain)
    {
        var bytes = BufferBytes;
        if (SetOption(socket, SolSocket, force, in bytes, sizeof(int)) != 0)
        {
            _ = SetOption(socket, SolSocket, plain, in bytes, sizeof(int));
        }
    }

    /// <summary>The kernel has done all of it by the time that send returns: what it has to say waits already.</summary>
    private static void ReadAnswers(SafeFileHandle socket, NftBatch batch)
    {
        var buffer = new byte[1 << 16];
        var done = false;
        while (true)
        {
            var read = Receive(socket, buffer, (nuint)buffer.Length, DoNotWait);
            if (read >= 0)
            {
                done |= Check(buffer.AsSpan(0, (int)read), batch);
                continue;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                // Said once, when answers were dropped: those that were not are still there.
                case Interrupted or NoBufferSpace:
                    continue;
                case WouldBlock when done:
                    return;
                case WouldBlock:
                    throw new InterceptionException(ExitCodes.Failure, "the kernel did not say that the rules are in force. See with 'nft list ruleset' what is, and try again.");
                case var error:
                    throw NftErrors.From(error, "read the kernel's answer");
            }
        }
    }

    /// <summary>nlmsghdr, then nlmsgerr: 0 or a negative errno, and the header of the message it is about.</summary>
    /// <returns>Whether the transaction was answered as done.</returns>
    private static bool Check(ReadOnlySpan<byte> answers, NftBatch batch)
    {
        var done = false;
        while (answers.Length >= ErrorLength)
        {
            var length = BitConverter.ToInt32(answers);
            if (BitConverter.ToUInt16(answers[4..]) == ErrorMessage)
            {
                var error = BitConverter.ToInt32(answers[16..]);
                var sequence = BitConverter.ToUInt32(answers[28..]);
                if (error != 0)
                {
                    throw NftErrors.From(-error, sequence < batch.Steps.Count ? batch.Steps[(int)sequence] : "write the rules");
                }

                done |= sequence == batch.AnsweredSequence;
            }

            answers = answers[Math.Min(answers.Length, Math.Max(ErrorLength, (length + 3) & ~3))..];
        }

        return done;
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int Socket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetOption(SafeFileHandle socket, int level, int option, in int value, int length);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint Send(SafeFileHandle socket, ReadOnlySpan<byte> bytes, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint Receive(SafeFileHandle socket, Span<byte> buffer, nuint length, int flags);

    /// <summary>An errno in words that say what to do.</summary>
    private static class NftErrors
    {
        private const int NotPermitted = 1;
        private const int NoEntry = 2;
        private const int AccessDenied = 13;
        private const int InvalidArgument = 22;
        private const int ProtocolNotSupported = 93;
        private const int OperationNotSupported = 95;
        private const int FamilyNotSupported = 97;

        public static InterceptionException From(int error, string step)
        {
            var reason = $"could not {step}: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).";
            return error switch
            {
                NotPermitted or AccessDenied => new(
                    ExitCodes.NotPermitted,
                    $"{reason} Rules are written by root with CAP_NET_ADMIN alone: run it as user 0 with securityContext.capabilities.add: [NET_ADMIN]."),
                ProtocolNotSupported or OperationNotSupported or FamilyNotSupported => new(
                    ExitCodes.Failure,
                    $"{reason} This kernel has no nf_tables: load the modules nf_tables and nft_chain_nat on the node, or use --backend iptables-legacy with an image that has iptables."),
                NoEntry or InvalidArgument => new(
                    ExitCodes.Failure,
                    $"{reason} This kernel's nf_tables lacks NAT for inet tables (Linux 5.2 with nft_chain_nat and nft_redir): load these modules on the node, or use --backend iptables-legacy with an image that has iptables."),
                _ => new(ExitCodes.Failure, $"{reason} See with 'nft list ruleset' what is in force."),
            };
        }
    }
}
