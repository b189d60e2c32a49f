using System.Text.Json.Nodes;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Writes the status of policies: an ancestor for each target (GEP-713), and all of them in one.</summary>
internal static class PolicyObjectStatus
{
    /// <summary>As Gateway API's schema bounds them.</summary>
    private const int MostAncestors = 16;

    public static IEnumerable<ObjectStatus> Of(MeshModel model) => PolicyStatus.List(model).Where(p => p.Origin is not null).Select(Write);

    private static ObjectStatus Write(PolicyStatus policy)
    {
        var generation = policy.Origin!.Generation;
        return new ObjectStatus(policy.Origin.ResourcePath, generation, new JsonObject
        {
            ["ancestors"] = new JsonArray([.. policy.Ancestors.Take(MostAncestors).Select(a => Ancestor(policy, a, generation))]),
            ["conditions"] = Conditions(policy.Conditions, generation),
        });
    }

    private static JsonObject Ancestor(PolicyStatus policy, PolicyAncestor ancestor, long generation)
    {
        var reference = new JsonObject { ["group"] = ancestor.AncestorRef.Group, ["kind"] = ancestor.AncestorRef.Kind, ["namespace"] = policy.Namespace, ["name"] = ancestor.AncestorRef.Name };
        if (ancestor.AncestorRef.SectionName is { } section)
        {
            reference["sectionName"] = section;
        }

        return new JsonObject { ["ancestorRef"] = reference, ["controllerName"] = ancestor.ControllerName, ["conditions"] = Conditions(ancestor.Conditions, generation) };
    }

    private static JsonArray Conditions(IEnumerable<PolicyCondition> conditions, long generation) =>
        new([.. conditions.GroupBy(c => c.Type).Select(g => StatusCondition.Write(g.Key, g.First().Status, g.First().Reason, string.Join(' ', g.Select(c => c.Message)), generation))]);
}
