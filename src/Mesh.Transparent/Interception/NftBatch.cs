using System.Text;

namespace Mesh.Transparent.Interception;

/// <summary>One nf_tables transaction as netlink messages: all of it comes into force, or nothing.</summary>
/// <remarks>
/// linux/netfilter/nfnetlink.h and nf_tables.h. The table is added, deleted and added again: neither "is there already" nor
/// "is not there" is an error then, and no connection sees a moment without rules.
/// </remarks>
internal sealed class NftBatch
{
    public const string Table = "mesh_proxy";
    public const string OutputChain = "output";
    public const string PreroutingChain = "prerouting";

    /// <summary>Where the kernel's own destination NAT stands (NF_IP_PRI_NAT_DST).</summary>
    public const int Priority = -100;

    private const byte FamilyInet = 1;
    private const ushort BatchBegin = 0x10;
    private const ushort BatchEnd = 0x11;
    private const ushort SubsystemNfTables = 10;
    private const ushort NewTable = (SubsystemNfTables << 8) | 0;
    private const ushort DeleteTable = (SubsystemNfTables << 8) | 2;
    private const ushort NewChain = (SubsystemNfTables << 8) | 3;
    private const ushort NewRule = (SubsystemNfTables << 8) | 6;
    private const ushort FlagRequest = 0x1;
    private const ushort FlagAck = 0x4;
    private const ushort FlagCreate = 0x400;
    private const ushort FlagAppend = 0x800;
    private const uint HookPrerouting = 0;
    private const uint HookOutput = 3;
    private const uint PolicyAccept = 1;

    private readonly NetlinkWriter _writer = new();
    private readonly List<string> _steps = [];

    private NftBatch()
    {
    }

    public ReadOnlySpan<byte> Messages => _writer.Written;

    /// <summary>The only message that asks for an answer when all went well: the last change. Answers to hundreds would not fit the socket's buffer.</summary>
    public uint AnsweredSequence => (uint)_steps.Count - 2;

    /// <summary>What each message does, by its sequence number, for errors.</summary>
    public IReadOnlyList<string> Steps => _steps;

    public static NftBatch Replace(RedirectRules rules)
    {
        var batch = new NftBatch();
        batch.Begin();
        batch.TableMessage("add the table", NewTable, FlagCreate);
        batch.TableMessage("delete the old table", DeleteTable, 0);
        batch.TableMessage("add the table", NewTable, FlagCreate);
        batch.ChainMessage(OutputChain, HookOutput);
        batch.ChainMessage(PreroutingChain, HookPrerouting);
        foreach (var rule in rules.Output)
        {
            batch.RuleMessage(OutputChain, rule, NftExpressions.MetaOutputInterface);
        }

        foreach (var rule in rules.Prerouting)
        {
            batch.RuleMessage(PreroutingChain, rule, NftExpressions.MetaInputInterface);
        }

        batch._writer.AddFlags(FlagAck);
        batch.End();
        return batch;
    }

    public static NftBatch Remove()
    {
        var batch = new NftBatch();
        batch.Begin();
        batch.TableMessage("add the table", NewTable, FlagCreate);
        batch.TableMessage("delete the table", DeleteTable, 0);
        batch._writer.AddFlags(FlagAck);
        batch.End();
        return batch;
    }

    private void Begin() => Message("begin an nf_tables transaction", BatchBegin, 0, 0, SubsystemNfTables, static _ => { });

    private void End() => Message("commit the nf_tables transaction", BatchEnd, 0, 0, SubsystemNfTables, static _ => { });

    private void TableMessage(string step, ushort type, ushort flags) =>
        Message($"{step} inet {Table}", type, flags, FamilyInet, 0, static writer => writer.Text(1, Table));

    private void ChainMessage(string name, uint hook) => Message($"add chain {name} (type nat)", NewChain, FlagCreate, FamilyInet, 0, writer =>
    {
        writer.Text(1, Table);
        writer.Text(3, name);
        var nested = writer.BeginNested(4);
        writer.Number(1, hook);
        writer.Number(2, unchecked((uint)Priority));
        writer.EndNested(nested);
        writer.Number(5, PolicyAccept);
        writer.Text(7, "nat");
    });

    private void RuleMessage(string chain, RedirectRule rule, uint interfaceKey) =>
        Message($"add rule '{rule.Why}' to chain {chain}", NewRule, FlagCreate | FlagAppend, FamilyInet, 0, writer =>
        {
            writer.Text(1, Table);
            writer.Text(2, chain);
            var expressions = writer.BeginNested(4);
            new NftExpressions(writer).Rule(rule, interfaceKey);
            writer.EndNested(expressions);

            // User data: type 0 (comment), its length with the zero, the text. Shown by `nft list`.
            var comment = Encoding.ASCII.GetBytes(rule.Why + '\0');
            writer.Bytes(7, [0, (byte)comment.Length, .. comment]);
        });

    private void Message(string step, ushort type, ushort flags, byte family, ushort resource, Action<NetlinkWriter> body)
    {
        _writer.BeginMessage(type, (ushort)(FlagRequest | flags), (uint)_steps.Count, family, resource);
        body(_writer);
        _writer.EndMessage();
        _steps.Add(step);
    }
}
