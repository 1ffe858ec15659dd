"""Resource Groups Tagging API: pages, and what is in them."""

from __future__ import annotations

from typing import Any


def test_a_page_holds_as_many_resources_as_were_asked_for(double: Any) -> None:
    dynamodb = double.client("dynamodb")
    for number in range(25):
        dynamodb.create_table(
            TableName=f"carts-{number}",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=[{"Key": f"tag-{tag}", "Value": "x"} for tag in range(9)],
        )
    tagging = double.client("resourcegroupstaggingapi")
    filters = [{"Key": "tag-1"}]
    page = tagging.get_resources(TagFilters=filters, ResourcesPerPage=100)
    assert len(page["ResourceTagMappingList"]) == 25
    assert not page.get("PaginationToken")
    assert len(page["ResourceTagMappingList"][0]["Tags"]) == 9
    first = tagging.get_resources(TagFilters=filters, ResourcesPerPage=20)
    assert len(first["ResourceTagMappingList"]) == 20
    second = tagging.get_resources(TagFilters=filters, ResourcesPerPage=20, PaginationToken=first["PaginationToken"])
    assert len(second["ResourceTagMappingList"]) == 5
    by_tags = tagging.get_resources(TagFilters=filters, TagsPerPage=100)
    assert len(by_tags["ResourceTagMappingList"]) == 11
