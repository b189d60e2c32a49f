using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Xds;

/// <summary>What the models since the last push changed: most are nothing to most streams, and that is found out without asking for the answers. Owned by a session, under its lock.</summary>
internal sealed class PendingChanges(ResourceAnswers answers)
{
    private long _compared = answers.Number;

    /// <summary>What changed for others than this node since this was last asked; null: compare all.</summary>
    public ImmutableArray<ModelChange>? Take(AnswerBasis? self)
    {
        var changes = answers.ChangesSince(ref _compared);
        return changes is null || changes.Value.Any(c => c.IsEverything || (self is not null && c.Touches(self))) ? null : changes;
    }

    public static bool Touch(Subscription type, ImmutableArray<ModelChange>? changes)
    {
        if (changes is null || type.TypeUrl is XdsTypes.TrustBundle or XdsTypes.LeafPolicy)
        {
            return true;
        }

        foreach (var answer in type.Sent.Values)
        {
            foreach (var change in changes.Value)
            {
                if (change.Touches(answer.Basis))
                {
                    return true;
                }
            }
        }

        return false;
    }
}
